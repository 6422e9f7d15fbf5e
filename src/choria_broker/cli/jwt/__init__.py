"""``choria-broker jwt``: keys and tokens, in the forms of the ``choria jwt`` command."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import click

from choria_broker.cli.jwt.check import check
from choria_broker.cli.jwt.client import client
from choria_broker.cli.jwt.keys import keys
from choria_broker.cli.jwt.provisioning import provisioning
from choria_broker.cli.jwt.server import server
from choria_broker.cli.jwt.view import view

_ALIASES = {
    "k": "keys",
    "c": "client",
    "prov": "provisioning",
    "provision": "provisioning",
    "p": "provisioning",
    "show": "view",
    "v": "view",
    "s": "view",
}


class _Commands(click.Group):
    """Knows the short names, views a file that is named without a command, and fails with status 1 only."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        with _status_one():
            return super().make_context(info_name, args, parent, **extra)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        known = (*self.commands, *_ALIASES, *ctx.help_option_names)
        return super().parse_args(ctx, ["view", *args] if args and args[0] not in known else args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, _ALIASES.get(cmd_name, cmd_name))

    def invoke(self, ctx: click.Context) -> Any:
        with _status_one():
            return super().invoke(ctx)


@contextlib.contextmanager
def _status_one() -> Iterator[None]:
    # Click leaves with 2 when a command is misused, which a monitoring system takes for a critical token.
    try:
        yield
    except click.ClickException as error:
        error.show()
        raise click.exceptions.Exit(1) from None


@click.group(cls=_Commands)
def jwt() -> None:
    """Create, view and check keys and tokens.

    A file name without a command shows that file.
    """


for _command in (keys, client, server, provisioning, view, check):
    jwt.add_command(_command)
