"""What is in a message of the Choria protocol, as far as adapters tell it.

Signatures, hashes, tokens and times of life are not checked: who may publish to the subject decides what comes in. Of a
message only that is taken apart which the document needs.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

_T = TypeVar("_T")


class UnwrapError(Exception):
    """It is no message of the Choria protocol, or not of the kind that was meant; the text says why."""


class Unwrapped(msgspec.Struct, frozen=True):
    """What is inside.

    Attributes:
        body: of the message.
        sender: who says to have sent it.
        nanoseconds: when it was made, Unix time.
        request: id of the request that it is, or answers.
    """

    body: str
    sender: str
    nanoseconds: int
    request: str


class _Transport(msgspec.Struct):
    protocol: str
    data: str
    headers: msgspec.Raw = msgspec.Raw(b"{}")


class _Secure(msgspec.Struct):
    protocol: str
    message: str = ""
    request: str = ""
    reply: str = ""
    signature: str | None = None
    hash: str | None = None


class _Envelope(msgspec.Struct):
    requestid: str
    senderid: str
    time: int
    agent: str
    callerid: str | None = None
    collective: str | None = None
    ttl: int | None = None
    filter: dict[str, Any] | None = None


class _V1(msgspec.Struct):
    protocol: str
    message: str
    envelope: _Envelope


class _V2(msgspec.Struct):
    protocol: str
    message: str
    sender: str
    time: int
    agent: str = ""
    id: str | None = None
    request: str | None = None
    caller: str | None = None
    collective: str | None = None
    ttl: int | None = None
    filter: dict[str, Any] | None = None


_TRANSPORT = msgspec.json.Decoder(_Transport)
_SECURE = msgspec.json.Decoder(_Secure)
_OLD = msgspec.json.Decoder(_V1)
_NEW = msgspec.json.Decoder(_V2)
_SECOND = 1_000_000_000
_LAST = 253_402_300_800 * _SECOND
"""The first moment that has no year of four digits any more."""


def unwrap(message: bytes, *, request: bool) -> Unwrapped:
    """Take a message apart.

    Args:
        message: as it came.
        request: it is to be a request; False: a reply.

    Raises:
        UnwrapError: it is not.
    """
    transport = _read(_TRANSPORT.decode, message, "transport")
    if not bytes(transport.headers).startswith(b"{"):
        raise UnwrapError("the transport has no headers")
    if transport.protocol == "choria:transport:1":
        found = _unwrapped_v1(_decoded(transport.data, "transport data"), request=request)
    elif transport.protocol == "io.choria.protocol.v2.transport":
        found = _unwrapped_v2(_decoded(transport.data, "transport data"), request=request)
    else:
        raise UnwrapError("an unknown transport protocol")
    if not 0 <= found.nanoseconds < _LAST:
        raise UnwrapError("a time that is out of range")
    return found


def _unwrapped_v1(data: bytes, *, request: bool) -> Unwrapped:
    kind = "request" if request else "reply"
    secure = _read(_SECURE.decode, data, f"secure {kind}")
    if secure.protocol != f"choria:secure:{kind}:1":
        raise UnwrapError(f"not a secure {kind} of version 1")
    if request and secure.signature is None:
        raise UnwrapError("a secure request without signature")
    inner = _read(_OLD.decode, secure.message.encode(errors="replace"), kind)
    envelope = inner.envelope
    if inner.protocol != f"choria:{kind}:1":
        raise UnwrapError(f"not a {kind} of version 1")
    if request:
        whole = (envelope.callerid, envelope.collective, envelope.ttl, envelope.filter)
        if any(each is None for each in whole) or not envelope.requestid or not envelope.senderid:
            raise UnwrapError("a request with missing fields")
        if not inner.message:
            raise UnwrapError("a request without a body")
    return Unwrapped(inner.message, envelope.senderid, envelope.time * _SECOND, envelope.requestid)


def _unwrapped_v2(data: bytes, *, request: bool) -> Unwrapped:
    kind = "request" if request else "reply"
    secure = _read(_SECURE.decode, data, f"secure {kind}")
    if secure.protocol != f"io.choria.protocol.v2.secure_{kind}":
        raise UnwrapError(f"not a secure {kind} of version 2")
    if request and secure.signature is None:
        raise UnwrapError("a secure request without signature")
    inner = _read(_NEW.decode, _decoded(secure.request if request else secure.reply, kind), kind)
    if inner.protocol != f"io.choria.protocol.v2.{kind}":
        raise UnwrapError(f"not a {kind} of version 2")
    number = inner.id if request else inner.request
    whole: tuple[object, ...] = (inner.caller, inner.collective, inner.ttl, inner.filter) if request else ()
    if not number or not inner.sender or any(each is None for each in whole):
        raise UnwrapError(f"a {kind} with missing fields")
    body = _decoded(inner.message, f"body of the {kind}")
    return Unwrapped(body.decode(errors="replace"), inner.sender, inner.time, number)


def _read(decode: Callable[[bytes], _T], data: bytes, what: str) -> _T:
    """Read a document; bytes that are no UTF-8 become U+FFFD, as the original has it."""
    try:
        try:
            return decode(data)
        except UnicodeDecodeError:
            return decode(data.decode(errors="replace").encode())
    except msgspec.DecodeError as error:
        raise UnwrapError(f"the {what} cannot be read: {error}") from None
    except RecursionError:
        raise UnwrapError(f"the {what} is nested too deeply") from None


def _decoded(text: str, what: str) -> bytes:
    """Read base64 as Go does, for which ends of lines do not count."""
    try:
        raw = text.encode()
        if b"\n" in raw or b"\r" in raw:
            raw = raw.translate(None, b"\r\n")
        return base64.b64decode(raw, validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise UnwrapError(f"the {what} is not base64") from None
