"""``choria-broker demo``: a broker on a throw-away CA, to try things on."""

from __future__ import annotations

import contextlib
import socket
import sys
from pathlib import Path

import click

from choria_broker.cli.run import run
from choria_broker.demo import Demo, lay_out


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
@click.option("--no-start", is_flag=True, help="Only write the files and print what to try.")
@click.pass_context
def demo(context: click.Context, *, folder: Path, port: int, stats_port: int, no_start: bool) -> None:
    """Make a throw-away CA, certificates and a configuration, and run a broker on them."""
    _refuse_taken(port, stats_port)
    try:
        made = lay_out(folder, port=port, stats_port=stats_port)
    except OSError as error:
        raise click.ClickException(f"cannot write the demonstration network to {folder}: {error.strerror}") from error
    click.echo(guide(made, port=port, stats_port=stats_port))
    if not no_start:
        context.invoke(run, config=made.config)


def _refuse_taken(*ports: int) -> None:
    """Stop before an earlier demonstration that still runs loses its certificates."""
    for port in ports:
        with contextlib.closing(socket.socket()) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise click.ClickException(
                    f"port {port} is in use; choose other ports with --port and --stats-port"
                ) from error


def guide(made: Demo, *, port: int, stats_port: int) -> str:
    """Write what to try on a demonstration network."""
    server = f"tls://127.0.0.1:{port}"
    nats = f"nats --server {server} --tlsca {made.ca}"
    mtls = f"{nats} --tlscert {made.client_certificate} --tlskey {made.client_key}"
    program = Path(sys.executable).parent / "choria-broker"
    return f"""
The demonstration network is in {made.folder}: a CA, certificates and a configuration, only for this demonstration.
Leave the broker running and try, in another terminal:

  publish and subscribe over mTLS, from Python:
    {sys.executable} -m choria_broker.examples.pubsub --server {server} --folder {made.folder}

  the same with the nats CLI:
    {mtls} sub demo.greeting &
    {mtls} pub demo.greeting hello

  without a certificate, which is refused (the broker's log says why):
    {nats} pub demo.greeting hello

  statistics:
    curl http://127.0.0.1:{stats_port}/choria/
    curl http://127.0.0.1:{stats_port}/varz

  what the configuration means:
    {program} check --config {made.config}

Stop the broker with Ctrl-C.
"""
