"""Subject mappings as nats-server understands them: which it takes, and which of several a subject meets first."""

from __future__ import annotations

import msgspec

from choria_broker.patterns import expression

_BLANK = "[\\t\\n\\f\\r ]"
_BLANKS = frozenset("\t\n\f\r ")
_ARGUMENTS = expression(f",{_BLANK}*")
_INTEGER = expression(r"[+-]?[0-9]+")
_SHORTEST_FUNCTION = 5
_INT32 = 2**31
_INT64 = 2**63

_NAMES = {
    "wildcard": "[wW]ildcard",
    "partition": "[pP]artition",
    "splitfromleft": "[sS]plit[fF]rom[lL]eft",
    "splitfromright": "[sS]plit[fF]rom[rR]ight",
    "slicefromleft": "[sS]lice[fF]rom[lL]eft",
    "slicefromright": "[sS]lice[fF]rom[rR]ight",
    "right": "[rR]ight",
    "left": "[lL]eft",
    "split": "[sS]plit",
    "random": "[rR]andom",
}
"""Functions by lower-case name with the spellings that are understood, in the order they are looked for."""

_FUNCTIONS = {
    name: expression(rf"\{{\{{{_BLANK}*{spelling}{_BLANK}*\((.*)\){_BLANK}*\}}\}}") for name, spelling in _NAMES.items()
}
_WITH_COUNT = frozenset({"partition", "random"})
"""Functions whose first argument is a number of parts, and which a source without wildcards can have."""


class _MappingError(Exception):
    """What is wrong with a mapping, in words."""


def check(source: str, destination: str) -> str:
    """Check a mapping the way nats-server does when it adds it to an account.

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


def doubt(destination: str) -> str:
    """Look for what nats-server takes and nobody means.

    Args:
        destination: of a mapping without faults.

    Returns:
        What looks wrong, empty when nothing does.
    """
    for token in destination.split("."):
        if not _is_function(token) and ("{{" in token or "}}" in token):
            return f"{token} is used as plain text: a function must stand alone between two dots, without dots inside"
        if token.count("{{") > 1:
            return f"{token} has more than one function, of which only one is used"
        name, indexes, count = _function(token)
        if any(index < 1 for index in indexes):
            return f"{token} names wildcard {min(indexes)}, which nats-server treats as the first part of the source"
        if name in _WITH_COUNT and count == 0:
            return f"{token} is 0 for every subject"
    return ""


class Sources:
    """Sources of mappings in their order, arranged by the parts of their subjects.

    Looking one up costs about the same however many there are, so that long lists are read in a moment.
    """

    def __init__(self) -> None:
        """Start without sources."""
        self._root = _Node()
        self._count = 0

    def add(self, source: str, name: str) -> None:
        """Add a source, which comes after all that were added before.

        Args:
            source: subject to match, wildcards allowed.
            name: what to call it.
        """
        node = self._root
        for token in source.split("."):
            node = node.children.setdefault(token, _Node())
        node.end = node.end or (self._count, name, source)
        self._count += 1

    def covering(self, source: str) -> tuple[str, str] | None:
        """Return name and source of the first one that matches every subject that the given source matches.

        Args:
            source: the source whose subjects are looked at.
        """
        found: list[tuple[int, str, str]] = []
        nodes = [self._root]
        for part in source.split("."):
            rests = (node.children.get(">") for node in nodes)
            found += [rest.end for rest in rests if rest and rest.end]
            wanted = () if part == ">" else dict.fromkeys((part, "*"))
            nodes = [node.children[each] for node in nodes for each in wanted if each in node.children]
        found += [node.end for node in nodes if node.end]
        return min(found)[1:] if found else None


class _Node(msgspec.Struct):
    """A place in the tree of sources: what may follow, and the source that ends here."""

    children: dict[str, _Node] = msgspec.field(default_factory=dict)
    end: tuple[int, str, str] | None = None


def _check(source: str, destination: str) -> None:
    source_tokens = _tokens(source, "source")
    destination_tokens = _tokens(destination, "destination")
    if _blank_in(source_tokens):
        raise _MappingError("the source contains a space")
    if _blank_in([token for token in destination_tokens if not _is_function(token)]):
        raise _MappingError("the destination contains a space")
    if "*" in destination_tokens:
        raise _MappingError("the destination has a * where {{wildcard(n)}} or $n is meant")
    if (source_tokens[-1] == ">") != (destination_tokens[-1] == ">"):
        raise _MappingError("source and destination must both end in >, or neither")
    unfit = next((character for character in source if character in '"\\' or not character.isprintable()), "")
    if unfit:
        # The source becomes a key of the engine's file, where there is no way to write these: one would end the key.
        raise _MappingError(f"the source contains the character {unfit!a}")
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
    return tokens


def _blank_in(tokens: list[str]) -> bool:
    return any(_BLANKS.intersection(token) for token in tokens)


def _is_function(token: str) -> bool:
    return len(token) >= _SHORTEST_FUNCTION and token.startswith("{{") and token.endswith("}}")


def _check_token(token: str, wildcards: int, *, bare: bool) -> None:
    """Check one part of the destination; ``bare`` sources have no wildcard that a function could use."""
    name, indexes, _ = _function(token)
    if not name:
        return
    if bare and name not in _WITH_COUNT:
        raise _MappingError(f"{token} needs a wildcard in the source")
    for index in indexes:
        # Below 1 is taken too, see doubt. A source without wildcards is not held against what partition names.
        if index > wildcards and not bare:
            raise _MappingError(f"{token} names wildcard {index} of a source that has {wildcards}")


def _function(token: str) -> tuple[str, list[int], int]:
    """Return the function of a part, the wildcards it uses and its number of parts; an empty name for plain text."""
    if token.startswith("$"):
        index = _integer(token[1:])
        return ("", [], -1) if index is None else ("wildcard", [index], -1)
    if not _is_function(token):
        return "", [], -1
    for name, form in _FUNCTIONS.items():
        found = form.search(token)
        if found:
            return name, *_arguments(name, _ARGUMENTS.split(found[1]), token)
    raise _MappingError(f"{token} is not a function of subject mappings")


def _arguments(name: str, arguments: list[str], token: str) -> tuple[list[int], int]:
    if name == "wildcard":
        _expect(arguments, 1, token)
        return [_number(arguments[0], token)], -1
    if name in _WITH_COUNT:
        if name == "random":
            _expect(arguments, 1, token)
        count = _number(arguments[0], token)
        if count >= _INT32:
            raise _MappingError(f"{token} has a number that is too large")
        return [_number(argument, token) for argument in arguments[1:]], count
    _expect(arguments, 2, token)
    index = _number(arguments[0], token)
    if name != "split":
        # Unlike a count this has a lower limit as well.
        length = _number(arguments[1], token)
        if not -_INT32 <= length < _INT32:
            raise _MappingError(f"{token} has a number that is too large")
    elif " " in arguments[1]:
        raise _MappingError(f"{token} has a space in its delimiter")
    return [index], -1


def _expect(arguments: list[str], count: int, token: str) -> None:
    if len(arguments) != count or not arguments[0]:
        raise _MappingError(f"{token} needs {count} argument{'s' if count > 1 else ''}")


def _number(text: str, token: str) -> int:
    number = _integer(text.strip(" "))
    if number is None:
        raise _MappingError(f"{token} has an argument that is not a whole number")
    return number


def _integer(text: str) -> int | None:
    """Read a whole number of 64 bits, None when it is none."""
    # No number of 64 bits needs more digits, and Python refuses to read very long ones.
    if not _INTEGER.fullmatch(text) or len(text.lstrip("+-0")) > len(str(_INT64)):
        return None
    number = int(text.lstrip("+-").lstrip("0") or "0") * (-1 if text.startswith("-") else 1)
    return number if -_INT64 <= number < _INT64 else None
