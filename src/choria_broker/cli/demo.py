"""``choria-broker demo``: a broker on a throw-away CA with a small fleet, to try things on."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

import click

from choria_broker.cli.run import run
from choria_broker.control.client import ControlError, NotRunningError, ask_status
from choria_broker.demo.guide import guide
from choria_broker.demo.network import Demo, lay_out
from choria_broker.demo.simulation import simulated


@click.command()
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path(".run"),
    show_default=True,
    help="Directory for the files.",
)
@click.option("--port", type=click.IntRange(1, 65535), default=4222, show_default=True, help="Client port.")
@click.option("--stats-port", type=click.IntRange(1, 65535), default=8222, show_default=True, help="Statistics port.")
@click.option("--fleet/--no-fleet", default=True, show_default=True, help="Simulate a small fleet beside the broker.")
@click.option("--no-start", is_flag=True, help="Only write the files and print what to try.")
@click.pass_context
def demo(context: click.Context, *, folder: Path, port: int, stats_port: int, fleet: bool, no_start: bool) -> None:
    """Create a throw-away CA, certificates, tokens and a configuration, and run a broker and a fleet with them."""
    _refuse_taken(port, stats_port)
    _refuse_running(folder)
    try:
        made = lay_out(folder, port=port, stats_port=stats_port)
    except OSError as error:
        raise click.ClickException(f"cannot write the demonstration network to {folder}: {error.strerror}") from error
    click.echo(guide(made, port=port, stats_port=stats_port, fleet=fleet))
    if not no_start:
        with simulated(made, port) if fleet else contextlib.nullcontext():
            context.invoke(run, config=made.config)


def _refuse_running(folder: Path) -> None:
    """Stop before an earlier demonstration that still runs loses its certificates and its configuration."""
    try:
        ask_status(Demo(folder).config)
    except NotRunningError:
        return
    except ControlError:
        pass  # It does not answer as it should, and is there all the same.
    raise click.ClickException(f"the demonstration in {folder} runs already; stop it, or choose another --folder")


def _refuse_taken(*ports: int) -> None:
    """Stop before ports are taken from somebody."""
    if len(set(ports)) < len(ports):
        raise click.ClickException("--port and --stats-port are the same: choose two different ports")
    for port in ports:
        with contextlib.closing(socket.socket()) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise click.ClickException(
                    f"port {port} is in use; choose other ports with --port and --stats-port"
                ) from error
