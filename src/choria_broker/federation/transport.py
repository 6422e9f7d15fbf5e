"""Transport messages of both versions of the protocol, taken apart only as far as a federation broker edits them.

What was signed, ``data``, is looked at but never changed, and neither is a field that is not known here.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar

import msgspec

from choria_broker.patterns import expression

Hop: TypeAlias = tuple[str, str, str]
"""One passage through a broker: by which server it came in, who passed it on, by which server it went out."""

Fields: TypeAlias = Mapping[str, msgspec.Raw]
"""Fields of a JSON object, their values as they were received."""

_Value = TypeVar("_Value")


class Cause(enum.StrEnum):
    """Why a message is dropped, in words for the log."""

    UNREADABLE = "it is not a JSON object in UTF-8"
    PROTOCOL = "its protocol is not a version of the transport message"
    SPELLING = "a field name is spelled in another way that other programs would accept, such as with capitals"
    HEADERS = "its headers have the wrong form"
    DATA = "its data is not base64"
    NOT_FEDERATED = "it is not federated"
    NO_TARGETS = "it names no targets"
    NO_REPLY = "it has no reply subject"
    BAD_REPLY = "nothing may be published to its reply subject"
    BAD_TARGETS = "nothing may be published to any of its targets"


class Names(msgspec.Struct, frozen=True):
    """How a version of the protocol names the fields of the headers.

    Attributes:
        protocol: the version.
        reply, sender, hops: of the headers.
        request, original_reply, targets: of the federation object in the headers.
        of_headers, of_federation: all of each.
    """

    protocol: str
    reply: str
    sender: str
    hops: str
    request: str
    original_reply: str
    targets: str
    of_headers: frozenset[str]
    of_federation: frozenset[str]


FEDERATION = "federation"
"""The federation object in the headers, in both versions."""


def _names(protocol: str, headers: tuple[str, str, str], federation: tuple[str, str, str]) -> Names:
    return Names(protocol, *headers, *federation, frozenset({*headers, FEDERATION}), frozenset(federation))


_VERSIONS = {
    each.protocol: each
    for each in (
        _names("choria:transport:1", ("reply-to", "mc_sender", "seen-by"), ("req", "reply-to", "target")),
        _names("io.choria.protocol.v2.transport", ("reply", "sender", "trace"), ("request", "reply", "targets")),
    )
}


class Federation(msgspec.Struct, frozen=True):
    """The federation object of a message.

    Attributes:
        request: id of the request; may be empty.
        reply: the reply subject that the client had asked for; empty in a request of a client.
        targets: subjects to publish to; none in a reply.
        others: fields that are not known here.
    """

    request: str = ""
    reply: str = ""
    targets: tuple[str, ...] = ()
    others: Fields = msgspec.field(default_factory=dict)


class Transport(msgspec.Struct, frozen=True):
    """A transport message.

    Attributes:
        names: how its version names the fields.
        fields: those of the message but the headers.
        reply: the reply subject, empty for none.
        sender: who sent it, empty for nobody.
        hops: the brokers that it came through.
        federation: None when it is not federated.
        others: fields of the headers that are not known here.
    """

    names: Names
    fields: Fields
    reply: str = ""
    sender: str = ""
    hops: tuple[Hop, ...] = ()
    federation: Federation | None = None
    others: Fields = msgspec.field(default_factory=dict)


class _DroppedError(Exception):
    """A message cannot be used.

    Attributes:
        cause: why.
    """

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause)
        self.cause = cause


_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_text = msgspec.json.Decoder(str | None).decode
_texts = msgspec.json.Decoder(tuple[str, ...] | None).decode
_hops = msgspec.json.Decoder(tuple[tuple[str, str, str], ...] | None).decode
_encode = msgspec.json.Encoder().encode

_PROTOCOL, _DATA, _HEADERS = "protocol", "data", "headers"
_OF_MESSAGE = frozenset({_PROTOCOL, _DATA, _HEADERS})
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_LINE_ENDS = expression(r"[\r\n]")
_PADDINGS = frozenset({b'""', b'"="', b'"=="'})
_GROUP, _QUOTES = 4, 2


def read(message: bytes) -> Transport | Cause:
    """Take a message apart.

    Args:
        message: what was received, which can be anything.

    Returns:
        The message, or why it is none. Nothing that is received makes this raise.
    """
    try:
        return _read(message)
    except _DroppedError as dropped:
        return dropped.cause
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return Cause.UNREADABLE


def write(transport: Transport, hop: Hop) -> bytes:
    """Put a message together, with one more hop.

    Args:
        transport: the message.
        hop: the passage to add.

    Returns:
        What to publish; what is empty is left out, but for the headers.
    """
    names, headers = transport.names, dict[str, object]()
    if transport.reply:
        headers[names.reply] = transport.reply
    if transport.sender:
        headers[names.sender] = transport.sender
    headers[names.hops] = (*transport.hops, hop)
    if transport.federation is not None:
        headers[FEDERATION] = _federation_fields(names, transport.federation)
    headers.update(transport.others)
    return _encode({**transport.fields, _HEADERS: headers})


def _federation_fields(names: Names, federation: Federation) -> dict[str, object]:
    known: dict[str, str | tuple[str, ...]] = {
        names.request: federation.request,
        names.original_reply: federation.reply,
        names.targets: federation.targets,
    }
    return {**{name: value for name, value in known.items() if value}, **federation.others}


def _read(message: bytes) -> Transport:
    if not message.isascii():
        message.decode()  # most values are taken over unread, also those that are not UTF-8
    fields = _known(message, _OF_MESSAGE, Cause.UNREADABLE)
    names = _VERSIONS.get(_value(fields.get(_PROTOCOL), _text, Cause.PROTOCOL) or "")
    if names is None:
        raise _DroppedError(Cause.PROTOCOL)
    if _DATA in fields and not _is_base64(bytes(fields[_DATA])):
        raise _DroppedError(Cause.DATA)
    raw = fields.pop(_HEADERS, None)
    if raw is None:
        return Transport(names, fields)
    headers = _known(raw, names.of_headers, Cause.HEADERS)
    return Transport(
        names,
        fields,
        reply=_value(headers.pop(names.reply, None), _text, Cause.HEADERS) or "",
        sender=_value(headers.pop(names.sender, None), _text, Cause.HEADERS) or "",
        hops=_value(headers.pop(names.hops, None), _hops, Cause.HEADERS) or (),
        federation=_federation(names, headers.pop(FEDERATION, None)),
        others=headers,
    )


def _federation(names: Names, raw: msgspec.Raw | None) -> Federation | None:
    if raw is None or bytes(raw) == b"null":
        return None
    fields = _known(raw, names.of_federation, Cause.HEADERS)
    return Federation(
        request=_value(fields.pop(names.request, None), _text, Cause.HEADERS) or "",
        reply=_value(fields.pop(names.original_reply, None), _text, Cause.HEADERS) or "",
        targets=_value(fields.pop(names.targets, None), _texts, Cause.HEADERS) or (),
        others=fields,
    )


def _known(raw: bytes | msgspec.Raw, known: frozenset[str], cause: Cause) -> dict[str, msgspec.Raw]:
    """Take an object apart in which no field differs from a known one only by case.

    Receivers in Go would take such a field for the known one, which was edited.
    """
    fields = _value(raw, _object, cause) or {}
    if not known.issuperset(fields):
        for name in fields:
            if name not in known and name.casefold() in known:
                raise _DroppedError(Cause.SPELLING)
    return fields


def _value(raw: bytes | msgspec.Raw | None, decode: Callable[[Any], _Value], cause: Cause) -> _Value | None:
    """Read a value, None where there is none.

    Raises:
        _DroppedError: it is of another type than it must be.
    """
    try:
        return None if raw is None else decode(raw)
    except msgspec.ValidationError:
        raise _DroppedError(cause) from None


def _is_base64(raw: bytes) -> bool:
    """Tell whether a JSON value is a text in base64 as Go reads it, for which ends of lines do not count."""
    if b"\\" in raw:
        raw = _encode(_LINE_ENDS.sub("", _value(raw, _text, Cause.DATA) or ""))
    rest = raw.translate(None, _ALPHABET)
    return rest in _PADDINGS and len(raw) % _GROUP == _QUOTES and raw.endswith(rest[1:])
