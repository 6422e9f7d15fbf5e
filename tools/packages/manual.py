"""Manual pages, made from what the commands tell of themselves."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import click

PROGRAM = "choria-broker"


def pages(main: click.Command, version: str) -> dict[str, str]:
    """Return the pages of a command and of all below it, by file name."""
    return {f"{path.replace(' ', '-')}.1": page(command, path, version) for path, command in commands(main)}


def commands(command: click.Command, path: str = PROGRAM) -> Iterator[tuple[str, click.Command]]:
    """Go through a command and all below it that are shown, each with how it is called."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=path)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None and not below.hidden:
                yield from commands(below, f"{path} {name}")


def page(command: click.Command, path: str, version: str) -> str:
    """Write one page in the language of man."""
    context: click.Context = click.Context(command, info_name=path)
    told = inspect.cleandoc(command.help or "").replace("\b\n", "").split("\f")[0].strip()
    first = command.get_short_help_str(limit=200).rstrip(".")
    name = path.replace(" ", "-")
    lines = [
        f'.TH "{name.upper()}" "1" "" "{PROGRAM} {version}" "Choria Network Broker"',
        ".SH NAME",
        f"{escaped(name)} \\- {escaped(first)}",
        ".SH SYNOPSIS",
        f".B {escaped(path)}",
        escaped(" ".join(command.collect_usage_pieces(context))),
        ".SH DESCRIPTION",
        *_paragraphs(told),
    ]
    options = [record for parameter in command.get_params(context) if (record := parameter.get_help_record(context))]
    if options:
        lines += [".SH OPTIONS", *_terms(options)]
    lines += _below(command, context, path)
    return "\n".join([*lines, *_see_also(path), ""])


def _below(command: click.Command, context: click.Context, path: str) -> list[str]:
    if not isinstance(command, click.Group):
        return []
    terms = []
    for name in command.list_commands(context):
        below = command.get_command(context, name)
        if below is not None and not below.hidden:
            where = f"{path.replace(' ', '-')}-{name}(1)"
            terms.append((name, f"{below.get_short_help_str(limit=200)} See {where}."))
    return [".SH COMMANDS", *_terms(terms)]


def _see_also(path: str) -> list[str]:
    upper = path.rpartition(" ")[0].replace(" ", "-")
    return [".SH SEE ALSO", f".BR {escaped(upper)} (1)"] if upper else []


def _terms(terms: list[tuple[str, str]] | list[tuple[str, Any]]) -> Iterator[str]:
    for term, text in terms:
        yield from (".TP", f"\\fB{escaped(term)}\\fR", escaped(" ".join(text.split())))


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n", text):
        yield from (".PP", escaped(" ".join(paragraph.split())))


def escaped(text: str) -> str:
    """Write text so that man shows it as it is."""
    safe = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{safe}" if safe[:1] in {".", "'"} else safe
