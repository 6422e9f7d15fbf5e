"""Which networks adapters and the federation broker connect to, and how they log in there."""

from __future__ import annotations

from collections.abc import Sequence

from choria_broker.access.permissions import reply_digests
from choria_broker.config.resolve.companion_token import SEED, TOKEN
from choria_broker.config.resolve.context import Context
from choria_broker.config.text.addresses import parse_endpoint
from choria_broker.config.text.values import BadValueError
from choria_broker.settings.companions import Side, SideTls
from choria_broker.settings.endpoint import Endpoint
from choria_broker.settings.finding_codes import Code
from choria_broker.settings.secret import Secret
from choria_broker.settings.security import Provider, Security
from choria_broker.settings.tls import Tls

MIDDLEWARE = "plugin.choria.middleware_hosts"
_RECORDS = ("_mcollective-server._tcp", "_x-puppet-mcollective._tcp")
LONGEST_SUBJECT = 1000
"""Bytes of the longest subject, or name of a queue group, that a configuration may have."""

_LAST_RESORT = ("puppet:4222",)
_USER, _PASSWORD, _CREDENTIALS = (f"plugin.nats.{name}" for name in ("user", "pass", "credentials"))


class Sides:
    """Makes the sides of companions.

    Args:
        context: inputs.
        tls: how TLS is used.
        security: which provider says who the broker is.
        main_collective: name of the collective for subjects of answers.
        holder: of the token, empty when it is not known.
    """

    def __init__(self, context: Context, tls: Tls, security: Security, main_collective: str, holder: str) -> None:
        """Read what all of them have in common."""
        self._holder = holder or context.identity
        self._context = context
        self._tls = _side_tls(context, tls)
        self._token = security.provider is Provider.CHORIA
        self._collective = main_collective

    def middleware(self, name: str) -> Side:
        """Return a side that leads to the brokers that Choria servers use.

        Settings and variables that send *clients* to the federation have no say here.

        Args:
            name: of the side.
        """
        return self.outside(name, endpoints(self._context, MIDDLEWARE), _RECORDS, _LAST_RESORT)

    def outside(
        self, name: str, hosts: Sequence[Endpoint], records: Sequence[str] = (), last_resort: tuple[str, ...] = ()
    ) -> Side:
        """Return a side that leads to given brokers.

        Args:
            name: of the side.
            hosts: the brokers; without any the SRV records are asked, where that is on and the domain is known.
            records: names of SRV records without the domain.
            last_resort: brokers for when no record has any.
        """
        values, domain = self._context.values, self._context.facts.domain
        login = next((each for each in hosts if each.user), None)
        password = values.text(_PASSWORD)
        token, seed, credentials = (values.path(key) for key in (TOKEN, SEED, _CREDENTIALS))
        asks = not hosts and domain and values.flag("plugin.choria.use_srv")
        return Side(
            name=name,
            servers=tuple(each.authority for each in hosts),
            srv=tuple(f"{record}.{domain}" for record in records) if asks else (),
            last_resort=() if hosts else last_resort,
            tls=self._tls,
            user=login.user if login else values.text(_USER),
            password=login.password if login else Secret(password) if password else None,
            token=str(token) if self._token and token else "",
            seed=str(seed) if self._token and seed else "",
            credentials=str(credentials) if credentials else "",
            inbox=f"{self._collective}.reply{f'.{reply_digests(self._holder)[0]}' if self._token else ''}",
        )


def fits(text: str) -> bool:
    """Tell whether a text is short enough for a subject: engines end connections over lines of 4,096 bytes."""
    return len(text.encode()) <= LONGEST_SUBJECT


def bridge(name: str) -> Side:
    """Return a side that is the engine of this process."""
    return Side(name=name, bridge=True)


def endpoints(context: Context, key: str) -> tuple[Endpoint, ...]:
    """Return the addresses of a list, those left out that cannot be read."""
    found = []
    for text in context.values.items(key):
        try:
            found.append(parse_endpoint(text).endpoint)
        except BadValueError:
            continue
    return tuple(found)


def check_addresses(context: Context, key: str) -> bool:
    """Refuse addresses of a list that cannot be read; tell whether all can."""
    good = True
    for text in context.values.items(key):
        try:
            parse_endpoint(text)
        except BadValueError as error:
            good = False
            context.collector.refuse(
                Code.BAD_ADDRESS, problem=error.problem, remedy=error.remedy, at=context.values.ref(key, text)
            )
    return good


def _side_tls(context: Context, tls: Tls) -> SideTls | None:
    if not tls.everywhere:
        return None
    files, verify = tls.files, not context.overrides.disable_ssl_verification
    if files is None:
        return SideTls(verify=verify)
    return SideTls(
        certificate=str(files.certificate), key=str(files.key), ca=str(files.ca) if files.ca else "", verify=verify
    )
