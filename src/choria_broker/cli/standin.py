"""The installed program, tried before a running broker's own process runs it; only that starts it."""

from __future__ import annotations

import click

from choria_broker.service import stand_in as life


@click.command(hidden=True)
@click.option("--channel", type=click.IntRange(0), required=True, help="Descriptor of the channel to the broker.")
def standin(*, channel: int) -> None:
    """Try this program for a running broker, and answer its engine while it is replaced."""
    raise SystemExit(life.serve(channel))
