"""What of a configured value may be shown: nothing, unless the table of settings says that it is no secret."""

from __future__ import annotations

import re

from choria_broker.config.table.schema import Setting, Shows, ValueKind
from choria_broker.patterns import expression
from choria_broker.settings.secret import MASK
from choria_broker.wording import LONGEST_ITEM, MORE, is_place, plain, short, without_credentials

_LOOKED_AT = 2000
"""Characters of a value that are looked at."""

_NUMBER = expression(r"[+-]?(?:[\d.,_]{1,20}\s?[A-Za-z\u00b5\u03bc]{0,3}){1,3}")
_WORD = expression(r"[A-Za-z_]{1,12}\d{0,2}|\d{1,3}")
_FORMS = {
    ValueKind.INTEGER: _NUMBER,
    ValueKind.PORT: _NUMBER,
    ValueKind.DURATION: _NUMBER,
    ValueKind.BOOLEAN: _WORD,
    ValueKind.SWITCH: _WORD,
    ValueKind.CHOICE: _WORD,
}
"""What a value looks like that is one of its kind or a misspelt one; anything else was pasted there."""

_ANOTHER = expression(r"[=;]|:\s|\splugin\.")
"""A sign that more stands in a line than one setting."""

_SCHEME = expression(r"[A-Za-z][A-Za-z0-9+.-]{0,20}://")
_SECRET_FORM = expression(r"[0-9A-Fa-f]{64,}|[A-Za-z0-9+/_-]{40,}={0,2}")
"""Keys and seeds in hexadecimal or base64: a whole item of that form is no name."""

_KEY = expression(r"[\w.-]+")


def shown_value(text: str, setting: Setting | None) -> str:
    """Return a value fit for messages.

    Args:
        text: the value, or an item of it.
        setting: its row in the table, None for a key that nobody knows.

    Returns:
        The value on one line and shortened, without logins, queries and credentials; a mask where the table does not
        say that it is no secret, or where it looks like one; nothing for a key that nobody knows.
    """
    if setting is None or not text:
        return ""
    if setting.secret:
        return MASK
    form = _FORMS.get(setting.kind)
    if form:
        return text if len(text) <= LONGEST_ITEM and form.fullmatch(text) else MASK
    if setting.shows is Shows.NOTHING:
        return MASK
    return _shown(text, setting.shows)


def shown_name(text: str) -> str:
    """Return a name that stands in a sentence, as a value is shown that may be."""
    return _shown(text, Shows.WORDS)


def shown_file(path: object) -> str:
    """Return the path of a file that stands in a sentence, as a value is shown that may be."""
    return _shown(str(path), Shows.FILES)


def shown_key(key: str) -> str:
    """Return a key fit for messages: what cannot be part of a key, such as a value without ``=``, is left out."""
    found = _KEY.match(key)
    if not found:
        return MASK
    shown = without_credentials(found[0])
    return short(plain(shown if found[0] == key else f"{shown} {MORE}"))


def _shown(text: str, shows: Shows) -> str:
    text = _first_setting(text[:_LOOKED_AT])
    # A colon or an @ before the first slash of a path is that of an address, and in a name it is that of a login.
    before = text.partition("/")[0] if shows is Shows.FILES else text
    as_places = shows is Shows.PLACES or ":" in before or "@" in before
    return short(plain(without_credentials(_places(text) if as_places else _items(text, shows))))


def _first_setting(text: str) -> str:
    """Cut off what looks like a second setting in the same line."""
    if not _ANOTHER.search(text):
        return text
    return re.split(r"[\s=;]", text, maxsplit=1)[0].partition("plugin.")[0] + MORE


def _items(text: str, shows: Shows) -> str:
    # Paths are long and of any form; only a whole item without a slash can be a key in the place of one.
    whole = [item.strip() for item in text.split(",")]
    if any(_SECRET_FORM.fullmatch(item) and (shows is Shows.WORDS or "/" not in item) for item in whole):
        return MASK
    return text


def _places(text: str) -> str:
    # A password may hold any character, commas too, so everything up to the last @ goes.
    login, at, rest = text.rpartition("@")
    if not at:
        return ", ".join(_place(item.strip()) for item in rest.split(","))
    scheme = _SCHEME.match(login)
    first, comma, others = rest.partition(",")
    shown = f"{scheme[0] if scheme else ''}{MASK}@{_place(first.strip())}"
    return f"{shown}, {_places(others.strip())}" if comma else shown


def _place(item: str) -> str:
    scheme = _SCHEME.match(item)
    start = scheme[0] if scheme else ""
    rest = item[len(start) :]
    word = re.split(r"\s", rest, maxsplit=1)[0]
    host = re.split(r"[/?#]", word, maxsplit=1)[0]
    network = re.fullmatch(r"/\d{1,3}", word[len(host) :])
    if not is_place(host) or _SECRET_FORM.fullmatch(host):
        return start + MASK
    return f"{start}{host}{network[0] if network else '' if host == rest else MORE}"
