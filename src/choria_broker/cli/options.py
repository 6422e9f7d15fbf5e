"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def configuration(command: Command) -> Command:
    """Add ``--config`` and the options that change how the configuration is read."""
    for option in (
        click.option(
            "--lenient-config", is_flag=True, hidden=True, help="Read bad values as the original program does."
        ),
        click.option(
            "--disable-ssl-verification", is_flag=True, hidden=True, help="Never request client certificates."
        ),
        click.option("--disable-tls", is_flag=True, hidden=True, help="Run without TLS."),
        click.option("--debug", is_flag=True, callback=_debug, help="Log at debug level, the engine included."),
        # Whether the file can be read is for the configuration's own findings to say.
        click.option("--config", type=click.Path(path_type=Path, readable=False), help="Configuration file."),
    ):
        command = option(command)
    return command


def _debug(context: click.Context, _parameter: click.Parameter, value: bool) -> bool:
    """Take the flag before the command's name for the command's own, as the original program does."""
    return value or bool(context.find_root().params.get("debug"))
