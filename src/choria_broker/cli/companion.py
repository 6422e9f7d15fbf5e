"""The process of an adapter or of the federation broker; only a broker starts it."""

from __future__ import annotations

import click

from choria_broker.service import companion as life


@click.command(hidden=True)
@click.option("--channel", type=click.IntRange(0), required=True, help="Descriptor of the channel to the broker.")
def companion(*, channel: int) -> None:
    """Be the process of an adapter or of the federation broker."""
    raise SystemExit(life.serve(channel))
