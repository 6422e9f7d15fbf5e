"""The command line: one file per command, loaded when the command is used."""

from __future__ import annotations

import gc
import importlib
import os
import pkgutil
import signal
import sys
from types import FrameType

import click

from choria_broker import __version__
from choria_broker.cli.habits import hint_for
from choria_broker.service.first_process import attend
from choria_broker.upgrade import VARIABLE

_SHARED = frozenset(
    {
        "answers",
        "at_start",
        "bundle_masks",
        "explanation",
        "habits",
        "options",
        "progress",
        "screen",
        "stream_contents",
        "stream_names",
        "stream_purge",
    }
)
"""Modules that are no commands."""

_HIDDEN = frozenset({"companion", "standin"})
"""Commands that are started by the broker itself."""

_SHOWN_FIRST = ("run", "check", "explain", "status", "reload", "drain", "jwt", "settings", "init", "capacity", "demo")


def _place(command: str) -> tuple[int, str]:
    return _SHOWN_FIRST.index(command) if command in _SHOWN_FIRST else len(_SHOWN_FIRST), command


COMMANDS = tuple(
    sorted(
        {each.name.replace("_", "-") for each in pkgutil.iter_modules(__path__) if each.name not in _SHARED} - _HIDDEN,
        key=_place,
    )
)
"""Every command; each is the attribute of that name in the module of that name, so a new one is a new module.

A dash in the name of a command is an underscore in that of its module.
"""


class _Commands(click.Group):
    """Loads a command when it is asked for.

    ``broker run`` and ``b run`` mean ``run``, as service units written for the original program say.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS and cmd_name not in _HIDDEN:
            return None
        name = cmd_name.replace("-", "_")
        command = getattr(importlib.import_module(f"{__name__}.{name}"), name)
        return command if isinstance(command, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if len(args) > 1 and args[0] in {"broker", "b"}:
            args = args[1:]
        if args and not ctx.resilient_parsing and args[0] not in COMMANDS and (hint := hint_for(args)):
            ctx.fail(hint)
        return super().resolve_command(ctx, args)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="%(version)s")
@click.option("--debug", is_flag=True, help="Log at debug level; can also be given after the command.")
def main(*, debug: bool) -> None:
    """Choria Network Broker: a managed NATS server, secure and right by default."""
    del debug  # The commands that log look it up here.


def program() -> None:
    """Run the command line as a process of its own.

    Until a broker has loaded its code and takes over its signals, those that must not end it are ignored, and a request
    to stop ends it in order. A process that was started without its standard streams gets some that lead nowhere: their
    numbers would go to the next files and connections, and what is meant for the streams would be written there.
    """
    _open_streams()
    attend()
    # What is loaded stays, and the collector would walk through all of it again and again meanwhile.
    gc.disable()
    if VARIABLE in os.environ:
        _go_on()
    if "run" in sys.argv[1:]:
        for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _leave)
    main(prog_name="choria-broker")


def _go_on() -> None:
    """Go on where the program stopped that this process ran before, unless the variable is that of another process."""
    from choria_broker.service import process, upgrading  # noqa: PLC0415 - nobody else needs them

    succession = upgrading.inheritance()
    if succession is not None:
        raise SystemExit(process.go_on(succession))


def _open_streams() -> None:
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # The lowest number that is free is this one.
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)
