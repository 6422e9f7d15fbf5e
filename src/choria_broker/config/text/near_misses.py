"""What an unknown key was likely meant to be."""

from __future__ import annotations

import difflib
import enum
import unicodedata
from collections.abc import Iterable, Iterator

from choria_broker.config.table.schema import NAME, Setting
from choria_broker.patterns import expression

_LONGEST_KEY = 200
_WORDS = expression(r"[a-z0-9]+")
_NOISE = expression(r"[^a-z0-9]+")
_OWN = frozenset({"choria", "security"})
"""Second parts of the keys that belong to Choria alone; other plugins have keys of their own under other ones."""
_OWN_PREFIXES = tuple(f"plugin.{own}." for own in sorted(_OWN))
_OWN_LOOKS = tuple(f"plugin{own}" for own in sorted(_OWN))
_BEGINNINGS = ("pluginchorianetworkstream", "pluginchorianetwork", "pluginchoria", "pluginsecurity")
_ALIKE = 0.76
"""How much of two parts of a key must agree, from 0 to 1."""
_SAME_KEY = 0.8
"""How much of two keys must agree, their common beginning apart."""
_LONGEST_ENDING = 2
"""Parts of a key that follow a name."""
_PIECE = 3
_SHORTEST_SHORT = 4
"""Letters that a part of a key must have to stand for a longer one that begins with them."""
_COMPARED = 5
_MOST_GUESSES = 1000
"""Keys that are compared with all that are known. A file with more is hardly one for this program."""

# Cyrillic, Greek and digits that look like a Latin letter.
_LOOK_ALIKE = str.maketrans(
    "\u0430\u0432\u0435\u043a\u043c\u043d\u043e\u0440\u0441\u0442\u0443\u0445\u0456\u0458\u0455\u0501\u0261"
    "\u03b1\u03b5\u03b9\u03ba\u03bd\u03bf\u03c1\u03c4\u03c5\u03c701",
    "abekmhopctyxijsdgaeikvoptuxol",
)


def fold(key: str) -> str:
    """Reduce a key to what it looks like: lower case Latin letters and digits, without dots and other separators."""
    return _NOISE.sub("", _plain(key))


def _plain(text: str) -> str:
    """Write a text in lower case, with Latin letters for what looks like them, and without marks that nobody sees."""
    if not text.isascii():
        decomposed = unicodedata.normalize("NFKD", text)
        text = "".join(each for each in decomposed if unicodedata.category(each) not in {"Mn", "Cf"})
    return text.casefold().translate(_LOOK_ALIKE)


def _words(text: str) -> tuple[str, ...]:
    return tuple(sorted(_WORDS.findall(_plain(text))))


def _likeness(one: str, other: str) -> float:
    comparison = difflib.SequenceMatcher(None, one, other, autojunk=False)
    return comparison.ratio() if comparison.quick_ratio() >= _ALIKE else 0.0


def _likeness_of_parts(one: str, other: str) -> float:
    """Compare parts of keys, where one may be short for the other."""
    short, long = sorted((one, other), key=len)
    shortened = len(short) >= _SHORTEST_SHORT and long.startswith(short)
    return max(_likeness(one, other), _ALIKE) if shortened else _likeness(one, other)


def _pieces(look: str) -> set[str]:
    return {look[start : start + _PIECE] for start in range(len(look) - _PIECE + 1)}


class _Tree:
    """Known keys as a tree of their parts, in which one part stands for any name."""

    def __init__(self) -> None:
        self.children: dict[str, _Tree] = {}
        self._alike: dict[str, list[str]] = {}
        self.ends = False

    def add(self, parts: list[str]) -> None:
        """Add one key."""
        node = self
        for part in parts:
            node = node.children.setdefault(part, _Tree())
        node.ends = True

    def like(self, parts: list[str], done: tuple[str, ...] = ()) -> Iterator[str]:
        """Find known keys that are like a key part for part, the likeliest first."""
        if not parts:
            if self.ends:
                yield ".".join(done)
            return
        for each in self._near(parts[0]):
            yield from self.children[each].like(parts[1:], (*done, each))
        if NAME in self.children:
            for taken in range(max(1, len(parts) - _LONGEST_ENDING), len(parts)):
                yield from self.children[NAME].like(parts[taken:], (*done, *parts[:taken]))

    def _near(self, part: str) -> Iterator[str]:
        if part in self.children and part != NAME:
            yield part
        # Beginnings of keys come again and again.
        if part not in self._alike:
            look = fold(part)
            found = {each: _likeness_of_parts(look, fold(each)) for each in self.children if each not in {NAME, part}}
            near = (each for each in found if found[each] >= _ALIKE)
            self._alike[part] = sorted(near, key=lambda each: -found[each])
        yield from self._alike[part]


class NearMisses:
    """Guesses what the unknown keys of one configuration were meant to be."""

    def __init__(self, rows: Iterable[Setting]) -> None:
        """Arrange the known keys; of two that are alike the first one is meant."""
        self._by_look: dict[str, str] = {}
        self._by_words: dict[tuple[str, ...], str] = {}
        self._by_end: dict[str, set[str]] = {}
        self._by_piece: dict[str, list[str]] = {}
        self._tree = _Tree()
        self._guesses = 0
        for row in rows:
            parts = row.key.split(".")
            self._tree.add(parts)
            if row.keyed:
                continue
            self._by_look.setdefault(fold(row.key), row.key)
            self._by_words.setdefault(_words(row.key), row.key)
            for start in range(1, len(parts)):
                self._by_end.setdefault(fold(".".join(parts[start:])), set()).add(row.key)
            for piece in _pieces(fold(row.key)):
                self._by_piece.setdefault(piece, []).append(row.key)

    def meant(self, key: str) -> str:
        """Return the known key that an unknown one was likely meant to be, empty when none comes close.

        Args:
            key: an unknown key. One that belongs to another plugin is like no known one.
        """
        if len(key) > _LONGEST_KEY:
            return ""
        parts = [part for part in key.split(".") if part.strip()]
        written = [key]
        if len(parts) > 2 and parts[0] == "plugin" and (parts[1] in _OWN or parts[2] == "plugin"):  # noqa: PLR2004
            # A file of plugin.d adds the first two parts, so a key that was written whole has them twice.
            written.append(".".join(parts[2:]))
        found = next(filter(None, map(self._same_look, written)), "") or self._inside_cut(parts)
        return found or next(filter(None, map(self._guess, written)), "")

    def _same_look(self, key: str) -> str:
        """Find a key with other case, separators or letters, with its words in another order, or without its start."""
        look = fold(key)
        whole = self._by_look.get(look) or self._by_words.get(_words(key), "")
        end = self._end(look)
        return (end or whole) if "." in key else (whole or end)

    def _inside_cut(self, parts: list[str]) -> str:
        """Find a key without its second part, or that and the third: ``plugin.network.peers``, ``plugin.peer_port``."""
        rest = ".".join(parts[1:])
        cut = parts[:1] == ["plugin"] and (rest.startswith("network.") or (len(parts) == 2 and "_" in rest))  # noqa: PLR2004
        found = self._end(fold(rest)) if cut else ""
        return found if found.endswith(f".{rest}") else ""

    def _end(self, look: str) -> str:
        ends = self._by_end.get(look, ())
        return next(iter(ends)) if len(ends) == 1 else ""

    def _guess(self, key: str) -> str:
        if self._guesses == _MOST_GUESSES:
            return ""
        self._guesses += 1
        parts = [part for part in key.split(".") if part.strip()]
        for start in ([], ["plugin"], ["plugin", "choria"]):
            if found := next(self._tree.like([*start, *parts]), ""):
                return found
        return "" if belongs(key) is Belongs.PLUGIN else self._most_alike(fold(key))

    def _most_alike(self, look: str) -> str:
        """Compare with the keys that share most of the groups of letters that few keys have."""
        shared: dict[str, float] = {}
        for piece in _pieces(look):
            holders = self._by_piece.get(piece, ())
            for known in holders:
                shared[known] = shared.get(known, 0.0) + 1 / len(holders)
        nearest = sorted(shared, key=lambda known: -shared[known])[:_COMPARED]
        likeness = {known: _apart_from_beginning(look, fold(known)) for known in nearest}
        best = max(likeness, key=lambda known: likeness[known], default="")
        return best if best and likeness[best] >= _SAME_KEY else ""


def _apart_from_beginning(look: str, known: str) -> float:
    """Compare without the beginning that many keys have, which makes all of them alike."""
    common = (start for start in _BEGINNINGS if look.startswith(start) and known.startswith(start))
    length = len(next(common, ""))
    return _likeness(look[length:], known[length:])


class Belongs(enum.Enum):
    """Whose an unknown key is, by its first parts."""

    CHORIA = "choria"
    """It begins as keys that belong to Choria alone do."""
    NEAR = "near"
    """It begins almost so: ``plugin.chroia.``, ``plugins.choria.``, ``pluginchoria.``, ``choria.``"""
    PLUGIN = "plugin"
    """It is one of another plugin, such as ``plugin.package.provider``, of which the broker knows nothing."""
    NOBODY = "nobody"
    """It is no key of plugins."""


def belongs(key: str) -> Belongs:
    """Tell whose a key is."""
    if key.startswith(_OWN_PREFIXES):
        return Belongs.CHORIA
    # Not all of a line that holds something else than a key.
    first, second, *_ = *(part for part in key[:_LONGEST_KEY].split(".") if part.strip()), "", ""
    if _like_own(fold(second)) and _likeness(fold(first), "plugin") >= _ALIKE:
        return Belongs.NEAR
    if _like_own(fold(first).removeprefix("plugin")) and second and fold(first) != "plugin":
        return Belongs.NEAR
    if first != "plugin" and fold(key[:_LONGEST_KEY]).startswith(_OWN_LOOKS):
        return Belongs.NEAR
    return Belongs.PLUGIN if key.startswith("plugin.") else Belongs.NOBODY


def _like_own(look: str) -> bool:
    return any(_likeness(look, own) >= _ALIKE for own in _OWN)
