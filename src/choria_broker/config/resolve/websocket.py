"""The websocket listener, and the sites whose pages may use it."""

from __future__ import annotations

from choria_broker.config.resolve.context import Context, network_key
from choria_broker.config.resolve.plain import plain
from choria_broker.config.text.addresses import advertised
from choria_broker.config.text.values import BadValueError
from choria_broker.patterns import expression
from choria_broker.settings.finding_codes import Code
from choria_broker.settings.hostnames import HostError, canonical
from choria_broker.settings.links import Websocket

ANY_ORIGIN = "any"
"""In place of sites: pages of all of them."""

_ORIGINS = network_key("websocket_origins")
_PORT = network_key("websocket_port")
_FORM = expression(r"(?P<scheme>https?)://(?P<host>\[[^\]]*\]|[^:/?#@\[\]*]+)(?::(?P<port>\d{1,5}))?")
_HIGHEST_PORT = 65535
_REMEDY = f"write scheme, host and port as in https://console.example.net:8443, or {ANY_ORIGIN}"


def resolve_websocket(context: Context) -> Websocket:
    """Decide everything about the websocket listener.

    Args:
        context: inputs.
    """
    port = context.values.number(_PORT)
    return Websocket(**plain(context, Websocket), advertise=_advertise(context, port), origins=_origins(context, port))


def origin(text: str) -> str:
    """Read the origin of pages as an operator writes it, and return it as browsers send it.

    Args:
        text: scheme ``http`` or ``https``, host, and perhaps a port.

    Raises:
        BadValueError: not an origin.
    """
    match = _FORM.fullmatch(text.removesuffix("/"))
    if match is None:
        raise BadValueError("not an origin that a page can have", _REMEDY)
    try:
        host = canonical(match["host"])
    except HostError as error:
        raise BadValueError(error.problem, error.remedy) from None
    if "%" in host:
        raise BadValueError("a zone, which a page's origin cannot have", _REMEDY)
    shown = f"[{host}]" if ":" in host else host
    if match["port"] is None:
        return f"{match['scheme']}://{shown}"
    if not 0 < int(match["port"]) <= _HIGHEST_PORT:
        raise BadValueError("no port", _REMEDY)
    return f"{match['scheme']}://{shown}:{int(match['port'])}"


def _advertise(context: Context, port: int) -> str:
    key, collector = network_key("websocket_advertise"), context.collector
    advertise = context.parse(key, lambda text: advertised(text, port_required=True), "")
    if advertise and not port:
        _report_without_listener(context, key)
    elif advertise:
        # Members of a cluster would tell it to each other's clients, but clusters of Choria do not advertise.
        problem, effect = "Choria brokers do not announce addresses to clients", "only the page /varz shows it"
        remedy = "configure websocket clients with the address in another way"
        collector.info(Code.NO_EFFECT, problem=problem, effect=effect, remedy=remedy, at=context.values.ref(key))
    return advertise


def _origins(context: Context, port: int) -> tuple[str, ...]:
    values, collector = context.values, context.collector
    found = []
    for text in values.items(_ORIGINS):
        if text == ANY_ORIGIN:
            found.append(text)
            continue
        try:
            found.append(origin(text))
        except BadValueError as error:
            effect = "pages of that site are refused"
            collector.skip(
                Code.BAD_ORIGIN,
                problem=error.problem,
                effect=effect,
                remedy=error.remedy,
                at=values.ref(_ORIGINS, text),
            )
    if found and not port:
        _report_without_listener(context, _ORIGINS)
    elif ANY_ORIGIN in found:
        collector.warn(
            Code.ANY_ORIGIN,
            problem="pages of every site may open websockets to this broker",
            effect="every page that a user visits can use the certificate of this CA in the user's browser",
            at=values.ref(_ORIGINS),
        )
    return (ANY_ORIGIN,) if ANY_ORIGIN in found else tuple(dict.fromkeys(found))


def _report_without_listener(context: Context, key: str) -> None:
    problem, effect, remedy = "there is no websocket listener", "it is ignored", f"set {_PORT} too"
    context.collector.warn(Code.NO_EFFECT, problem=problem, effect=effect, remedy=remedy, at=context.values.ref(key))
