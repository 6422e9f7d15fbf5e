"""The command line: one file per command, loaded when the command is used."""

from __future__ import annotations

import importlib
import signal
import sys
from types import FrameType

import click

from choria_broker import __version__

COMMANDS = ("run", "check", "explain", "status", "jwt", "settings", "demo")
"""Every command; each is the attribute of that name in the module of that name."""


class _Commands(click.Group):
    """Loads a command when it is asked for.

    ``broker run`` and ``b run`` mean ``run``, as service units written for the original program say.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"{__name__}.{cmd_name}")
        command = getattr(module, cmd_name)
        return command if isinstance(command, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if len(args) > 1 and args[0] in {"broker", "b"}:
            args = args[1:]
        return super().resolve_command(ctx, args)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="%(version)s")
@click.option("--debug", is_flag=True, help="Log at debug level; the same as after the command.")
def main(*, debug: bool) -> None:
    """Choria Network Broker: a managed NATS server, secure and right by default."""
    del debug  # The commands that log look it up here.


def program() -> None:
    """Run the command line as a process of its own.

    Until a broker has loaded its code and takes over its signals, those that must not end it are ignored, and a request
    to stop ends it in order.
    """
    if "run" in sys.argv[1:]:
        for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _leave)
    main()


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)
