"""What of a bundle is masked: the secrets of the configuration by their text, others by their form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from choria_broker.config.table.rows import SETTINGS
from choria_broker.config.text.shown_values import shown_key, shown_value
from choria_broker.patterns import expression
from choria_broker.settings.broker import Settings
from choria_broker.settings.secret import MASK
from choria_broker.values import Discreet
from choria_broker.wording import plain, without_logins

_SHORTEST = 3
"""Characters of a password that is looked for; a shorter one is part of too many words."""

_OF_LOGINS = expression(r"://[^\s/:@]{0,200}:([^\s@]{1,200})@")
"""Passwords in addresses of other brokers."""


class Masks(Discreet, frozen=True):
    """Puts masks in place of secrets.

    Attributes:
        secrets: texts that are secret, the longest first.
    """

    secrets: tuple[str, ...] = ()

    def text(self, text: str) -> str:
        """Mask a text, line by line, so that one that looks like a secret hides no other."""
        return "\n".join(map(self._line, text.split("\n")))

    def document(self, value: object) -> object:
        """Mask the texts of a document."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.document(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.document(each) for each in value]
        return value

    def _line(self, line: str) -> str:
        for secret in self.secrets:
            line = line.replace(secret, MASK)
        return without_logins(line)


def masks_of(settings: Settings | None) -> Masks:
    """Tell what is secret of a configuration."""
    if settings is None:
        return Masks()
    found = {each for value in settings.raw.values() for each in _OF_LOGINS.findall(value)}
    found |= {value for key, value in settings.raw.items() if (match := SETTINGS.find(key)) and match.setting.secret}
    found = {each for each in found if len(each) >= _SHORTEST}
    return Masks(tuple(sorted(found, key=len, reverse=True)))


def masked_lines(settings: Settings) -> Iterator[str]:
    """Write the settings that were given, with their places, as far as they may be shown."""
    for key, value in settings.raw.items():
        match = SETTINGS.find(key)
        shown = shown_value(value, match.setting if match else None)
        yield plain(f"{shown_key(key)} = {shown or '(not shown)' if value else ''}  # {settings.origin(key)}")
