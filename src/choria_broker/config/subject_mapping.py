"""Checks one subject mapping as nats-server does when it adds it to an account."""

from __future__ import annotations

import re

_FUNCTION = re.compile(r"\{\{\s*([A-Za-z]+)\s*\((.*)\)\s*\}\}")
_DOLLAR = re.compile(r"\$([+-]?[0-9]+)")
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")
_SHORTEST_FUNCTION = 5
_INT32 = 2**31 - 1

_SPELLINGS = {
    "wildcard": "[wW]ildcard",
    "partition": "[pP]artition",
    "splitfromleft": "[sS]plit[fF]rom[lL]eft",
    "splitfromright": "[sS]plit[fF]rom[rR]ight",
    "slicefromleft": "[sS]lice[fF]rom[lL]eft",
    "slicefromright": "[sS]lice[fF]rom[rR]ight",
    "left": "[lL]eft",
    "right": "[rR]ight",
    "split": "[sS]plit",
    "random": "[rR]andom",
}
"""Functions by lower-case name, with the spellings that are understood."""

_WITH_NUMBER = frozenset({"splitfromleft", "splitfromright", "slicefromleft", "slicefromright", "left", "right"})


class _MappingError(Exception):
    """What is wrong with a mapping, in words."""


def check(source: str, destination: str) -> str:
    """Check a mapping.

    Args:
        source: subject to match, wildcards allowed.
        destination: subject to make of it, with functions such as ``{{wildcard(1)}}``.

    Returns:
        What is wrong, empty when nothing is.
    """
    try:
        _check(source, destination)
    except _MappingError as error:
        return str(error)
    return ""


def _check(source: str, destination: str) -> None:
    source_tokens = _tokens(source, "source")
    destination_tokens = _tokens(destination, "destination")
    if "*" in destination_tokens:
        raise _MappingError("the destination has a * where {{wildcard(n)}} or $n is meant")
    if (source_tokens[-1] == ">") != (destination_tokens[-1] == ">"):
        raise _MappingError("only one of source and destination ends in >")
    unfit = next((character for character in source if character in '"\\' or not character.isprintable()), "")
    if unfit:
        # The source becomes a key of the engine's file, where there is no way to write these: one would end the key.
        raise _MappingError(f"the source has the character {unfit!a} in it")
    wildcards = source_tokens.count("*")
    bare = not wildcards and source_tokens[-1] != ">"
    for token in destination_tokens:
        _check_token(token, wildcards, bare=bare)


def _tokens(subject: str, what: str) -> list[str]:
    if not subject:
        raise _MappingError(f"the {what} is empty")
    tokens = subject.split(".")
    if "" in tokens:
        raise _MappingError(f"the {what} has an empty part between dots")
    if ">" in tokens[:-1]:
        raise _MappingError(f"the {what} has a > that is not at its end")
    for token in tokens:
        inside_function = token.startswith("{{") and token.endswith("}}")
        if not inside_function and any(character.isspace() for character in token):
            raise _MappingError(f"the {what} has a blank in it")
    return tokens


def _check_token(token: str, wildcards: int, *, bare: bool) -> None:
    """Check one part of the destination; ``bare`` sources have no wildcard that a function could use."""
    name, indexes = _function(token)
    if not name:
        return
    if bare and name not in {"random", "partition"}:
        raise _MappingError(f"{token} needs a wildcard in the source")
    for index in indexes:
        if index > wildcards or index < 1:
            raise _MappingError(f"{token} names wildcard {index} of a source that has {wildcards}")


def _function(token: str) -> tuple[str, list[int]]:
    """Return the function of a part and the wildcards it uses; an empty name for plain text."""
    dollar = _DOLLAR.fullmatch(token)
    if dollar:
        return "wildcard", [_number(dollar[1], token)]
    whole = token.startswith("{{") and token.endswith("}}")
    if not whole and ("{{" in token or "}}" in token):
        raise _MappingError(f"{token} is half a function, or a function with text around it")
    if not whole or len(token) < _SHORTEST_FUNCTION:
        return "", []
    found = _FUNCTION.fullmatch(token)
    name = found[1].lower() if found else ""
    if not found or name not in _SPELLINGS or not re.fullmatch(_SPELLINGS[name], found[1]):
        raise _MappingError(f"{token} is not a function of subject mappings")
    arguments = [argument.strip(" ") for argument in found[2].split(",")]
    return name, _indexes(name, arguments, token)


def _indexes(name: str, arguments: list[str], token: str) -> list[int]:
    if name == "wildcard":
        _expect(arguments, 1, token)
        return [_number(arguments[0], token)]
    if name == "random":
        _expect(arguments, 1, token)
        _positive(arguments[0], token)
        return []
    if name == "partition":
        _positive(arguments[0], token)
        return [_number(argument, token) for argument in arguments[1:]]
    _expect(arguments, 2, token)
    if name in _WITH_NUMBER:
        _number(arguments[1], token)
    elif not arguments[1]:
        raise _MappingError(f"{token} has no delimiter")
    return [_number(arguments[0], token)]


def _expect(arguments: list[str], count: int, token: str) -> None:
    if len(arguments) != count or not arguments[0]:
        raise _MappingError(f"{token} takes {count} argument{'s' if count > 1 else ''}")


def _number(text: str, token: str) -> int:
    if not _NUMBER.fullmatch(text) or abs(int(text)) > _INT32:
        raise _MappingError(f"{token} has an argument that is not a whole number")
    return int(text)


def _positive(text: str, token: str) -> None:
    if _number(text, token) < 1:
        raise _MappingError(f"{token} needs a number above 0")
