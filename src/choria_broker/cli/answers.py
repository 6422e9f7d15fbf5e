"""How commands that ask a running broker print its answer, and how they end without one."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator
from typing import Never

import click
import msgspec

from choria_broker.control.client import ControlError
from choria_broker.wording import plain


@contextlib.contextmanager
def asking() -> Iterator[None]:
    """End the command with the reason when the broker could not be asked in the context."""
    try:
        yield
    except ControlError as error:
        fail(str(error))


def fail(message: str) -> Never:
    """Print why nothing came of a command, and end it with exit status 1."""
    click.echo(plain(message), err=True)
    raise SystemExit(1)


def show(answer: object, lines: Iterable[str], *, as_json: bool) -> None:
    """Print an answer.

    Args:
        answer: the answer as a document.
        lines: the same for people; written when they are wanted.
        as_json: print the document.
    """
    if as_json:
        print_json(answer)
    else:
        click.echo("\n".join(map(plain, lines)))


def print_json(document: object) -> None:
    """Print a document, which may have structures of msgspec in it."""
    click.echo(json.dumps(msgspec.to_builtins(document), indent=2))
