"""Where the broker listens: of the addresses in the settings what this host has, and no port twice."""

from __future__ import annotations

import itertools

from choria_broker.config.resolve.context import NETWORK_ON, Context, network_key
from choria_broker.config.resolve.plain import plain
from choria_broker.config.text.addresses import listen_address, overlap
from choria_broker.config.text.reading import Values
from choria_broker.config.text.values import BadValueError
from choria_broker.settings.broker import Settings, Statistics
from choria_broker.settings.finding_codes import Code
from choria_broker.settings.listeners import Listener
from choria_broker.settings.network import Network
from choria_broker.settings.served import Served

NETWORK_ADDRESS = network_key("listen_address")
STATISTICS_ADDRESS = "plugin.choria.stats_address"
STATISTICS_PORT = "plugin.choria.stats_port"
_EVERY_IPV4 = "0.0.0.0"  # noqa: S104 - compared, not bound
_EVERY_ADDRESS = "::"
_USUAL = {NETWORK_ADDRESS: Network().listen_address, STATISTICS_ADDRESS: Statistics().address}
"""What counts where an address is set to nothing."""


def listen_addresses(values: Values) -> tuple[str, ...]:
    """Return the addresses that listeners will be at, to find out what of them this host can bind."""
    keys = [NETWORK_ADDRESS] if values.flag(NETWORK_ON) else []
    keys += [STATISTICS_ADDRESS] if keys and values.number(STATISTICS_PORT) else []
    found: dict[str, None] = {}
    for key in keys:
        try:
            found[listen_address(values.text(key) or _USUAL[key])] = None
        except BadValueError:
            continue
    return tuple(found)


def resolve_listen_address(context: Context) -> str:
    """Decide on the one address of the engine's listeners; it can be the only one they have."""
    _, (address, *others) = _resolve(context, NETWORK_ADDRESS)
    if others:
        problem = f"a name with the addresses {', '.join((address, *others))}"
        effect = f"the engine listens on only one of them, {address}"
        remedy = "write :: for every address, or the address that you want"
        context.collector.info(
            Code.LISTENS_ON_LESS,
            problem=problem,
            effect=effect,
            remedy=remedy,
            at=context.values.ref(NETWORK_ADDRESS),
        )
    return address


def resolve_statistics(context: Context) -> Statistics:
    """Decide on the statistics listener."""
    written, addresses = _resolve(context, STATISTICS_ADDRESS)
    return Statistics(**plain(context, Statistics), address=written, addresses=addresses)


def check_ports(context: Context, settings: Settings) -> None:
    """Refuse two listeners on one port."""
    listeners = settings.listeners if settings.network_enabled else settings.statistics.listeners
    clashes: dict[tuple[str, str], int] = {}
    for one, two in itertools.combinations(listeners, 2):
        if one.port == two.port and one.key != two.key and overlap(_reach(one), _reach(two)):
            clashes[one.key, two.key] = one.port
    for (other, key), port in clashes.items():
        # The one somebody set is easier to find than the one with a default.
        key_at = key if context.values.given(key) else other
        problem = f"{other} and {key} are both port {port}"
        context.collector.refuse(Code.PORT_CLASH, problem=problem, at=context.values.ref(key_at))


def _reach(listener: Listener) -> str:
    """To the engine 0.0.0.0 means IPv6 too, where there is any."""
    everywhere = listener.address == _EVERY_IPV4 and listener.address_key == NETWORK_ADDRESS
    return _EVERY_ADDRESS if everywhere else listener.address


def _resolve(context: Context, key: str) -> tuple[str, tuple[str, ...]]:
    """Return a listen address as it was written, and what of it is bound, which is never empty."""
    written = context.parse(key, listen_address, _USUAL[key])
    found = context.facts.bindable.get(written)
    at = context.values.ref(key)
    if not found:
        return written, (written,)
    opened = _opened(context.served, key, written) if context.served else ()
    if opened and not set(opened) <= set(found.addresses):
        problem = found.problem or f"now has the addresses {', '.join(found.addresses)}"
        end = ", but could not be started again" if found.problem else " until it is restarted"
        effect = f"the broker keeps listening on {', '.join(opened)}{end}"
        remedy = "" if found.problem else "restart the broker to use the new addresses"
        context.collector.warn(Code.ADDRESS_UNAVAILABLE, problem=problem, effect=effect, remedy=remedy, at=at)
        return written, opened
    if found.problem:
        context.collector.refuse(Code.ADDRESS_UNAVAILABLE, problem=found.problem, at=at)
        return written, (written,)
    if found.lacking:
        everything = found.lacking == (_EVERY_ADDRESS,)
        problem = "this host has no IPv6" if everything else f"this host does not have {', '.join(found.lacking)}"
        effect = f"it listens on {', '.join(found.addresses)}"
        context.collector.info(
            Code.LISTENS_ON_LESS,
            problem=problem,
            effect=effect,
            remedy="nothing to do, unless these are too few addresses",
            at=at,
        )
    # A name may have them in another order each time.
    others = tuple(each for each in found.addresses if each not in opened) if key == NETWORK_ADDRESS else ()
    return written, (*opened, *others) if opened else found.addresses


def _opened(served: Served, key: str, written: str) -> tuple[str, ...]:
    """Return where a running broker listens by a setting that is still as it was; only a restart changes that."""
    try:
        if listen_address(served.raw.get(key) or _USUAL[key]) != written:
            return ()
    except BadValueError:
        return ()
    if key == NETWORK_ADDRESS:
        return (served.listen_address,) if served.listen_address else ()
    return served.statistics.addresses if served.statistics.port else ()
