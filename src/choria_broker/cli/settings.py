"""``choria-broker settings``: the reference of every setting."""

from __future__ import annotations

import click

from choria_broker.config.table import manual


@click.command()
def settings() -> None:
    """Print the reference of all settings as Markdown."""
    click.echo(manual.render(), nl=False)
