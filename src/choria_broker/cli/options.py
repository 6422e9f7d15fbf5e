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
        click.option("--debug", is_flag=True, help="Log at debug level, the engine included."),
        click.option("--config", type=click.Path(path_type=Path), help="Configuration file."),
    ):
        command = option(command)
    return command
