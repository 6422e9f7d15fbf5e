"""What every part of the resolution works with."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from choria_broker.config.surroundings.facts import Facts, Overrides
from choria_broker.config.text.collector import Collector
from choria_broker.config.text.reading import Values
from choria_broker.config.text.values import BadValueError
from choria_broker.settings.finding_codes import Code
from choria_broker.settings.network import NETWORK
from choria_broker.settings.served import Served

NETWORK_ON = "plugin.choria.broker_network"
"""Key that turns the network broker on."""

SECURITY = "plugin.security."
"""Prefix of the keys of the security framework."""

PROVIDER = SECURITY + "provider"
CLIENT_ANON_TLS = NETWORK + "client_anon_tls"

_Parsed = TypeVar("_Parsed")


class Context(msgspec.Struct, frozen=True):
    """Inputs of the resolution, and where its findings go.

    Attributes:
        values: typed values of the configuration.
        facts: what the edges found out.
        overrides: choices of the command line.
        collector: receives findings.
        identity: name of this broker.
        served: what a running broker serves, None at the start. What turned bad since then stays as it is served.
    """

    values: Values
    facts: Facts
    overrides: Overrides
    collector: Collector
    identity: str
    served: Served | None = None

    def parse(self, key: str, convert: Callable[[str], _Parsed], fallback: _Parsed) -> _Parsed:
        """Convert a text setting, refusing a bad one and going on with the fallback; unset gives the fallback too."""
        text = self.values.text(key)
        if not text:
            return fallback
        try:
            return convert(text)
        except BadValueError as error:
            self.collector.refuse(Code.BAD_VALUE, problem=error.problem, remedy=error.remedy, at=self.values.ref(key))
            return fallback

    def distinct(self, key: str) -> tuple[str, ...]:
        """Return a list of names without repeats, with a warning about those."""
        names = self.values.items(key)
        once = tuple(dict.fromkeys(names))
        if len(once) != len(names):
            self.collector.warn(
                Code.REPEATED_ITEM,
                problem="a name is in the list twice",
                effect="it is used once",
                at=self.values.ref(key),
            )
        return once


def configured_identity(values: Values) -> str:
    """Return the identity that is set, empty when there is none; names often end in the dot that DNS has them with."""
    return values.text("identity").removesuffix(".")


def network_key(name: str) -> str:
    """Return the full key of a setting of the network broker."""
    return NETWORK + name
