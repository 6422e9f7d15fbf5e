"""Reads the keys and tokens of NATS, by which operators vouch for accounts and accounts for users.

A key is ed25519, written in base 32 behind a byte that tells what it is for. A token is a JWT that names the key that
signed it; whether that key is to be trusted is for others to say.
"""

from __future__ import annotations

import base64
import binascii
import enum
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from choria_broker.patterns import expression
from choria_broker.security.keys import ed25519_verifies
from choria_broker.security.tokens_encoding import decode_base64url

LARGEST_TOKEN = 1024 * 1024
"""Most bytes of a token that the engine reads."""

VERSION = 2
"""Newest version of tokens that the engine knows."""

_CHECKSUM, _KEY, _SEED = 2, 32, 18 << 3
_ALGORITHMS = frozenset({"ed25519", "ed25519-nkey"})
_DASHES = b"---"
_PART = expression(rb"[\w.=-]+")


class NatsTokenError(ValueError):
    """A text is not a usable key or token; the message says why and never repeats the text."""


class Role(enum.IntEnum):
    """What a key is for: the first byte of its raw form, which makes its text begin with O, A or U."""

    OPERATOR = 14 << 3
    ACCOUNT = 0
    USER = 20 << 3


class NatsToken(msgspec.Struct, frozen=True):
    """A token whose signature is that of the key it names.

    Attributes:
        text: the token.
        kind: ``operator``, ``account``, ``user`` and others.
        issuer: public key that signed it.
        subject: public key that it is about.
        name: what people call the subject.
        expires: Unix seconds, 0 for never.
        not_before: Unix seconds, 0 for always.
        claims: what is said of the subject.
    """

    text: str
    kind: str
    issuer: str
    subject: str
    name: str
    expires: int
    not_before: int
    claims: dict[str, Any]


class _Header(msgspec.Struct):
    typ: str
    alg: str


class _Body(msgspec.Struct):
    iss: str
    sub: str
    nats: dict[str, Any]
    name: str = ""
    exp: int = 0
    nbf: int = 0
    type: str = ""


def public_key(text: str, *roles: Role) -> Ed25519PublicKey:
    """Read a public key.

    Args:
        text: as NATS writes it.
        roles: what it may be for.

    Raises:
        NatsTokenError: it is not a key for any of them.
    """
    raw = _raw(text)
    if len(raw) != 1 + _KEY or raw[0] not in roles:
        raise NatsTokenError(f"not a public key of type {' or '.join(role.name.lower() for role in roles)}")
    return Ed25519PublicKey.from_public_bytes(raw[1:])


def private_key(text: bytes, role: Role) -> Ed25519PrivateKey:
    """Read a seed, the private half of a key.

    Raises:
        NatsTokenError: it is not a seed for this role.
    """
    raw = _raw(text.decode("ascii", errors="replace"))
    if len(raw) != 2 + _KEY or raw[0] & 0xF8 != _SEED or (raw[0] & 7) << 5 | raw[1] >> 3 != role:
        raise NatsTokenError(f"not a seed of type {role.name.lower()}")
    return Ed25519PrivateKey.from_private_bytes(raw[2:])


def is_public_key(text: str, *roles: Role) -> bool:
    """Tell whether a text is a public key for one of these roles."""
    try:
        public_key(text, *roles)
    except NatsTokenError:
        return False
    return True


def _raw(text: str) -> bytes:
    """Decode a key, without its checksum.

    Raises:
        NatsTokenError: it is none.
    """
    try:
        raw = base64.b32decode(text + "=" * (-len(text) % 8))
    except ValueError:
        raise NatsTokenError("not a NATS key") from None
    body, checksum = raw[:-_CHECKSUM], raw[-_CHECKSUM:]
    if binascii.crc_hqx(body, 0).to_bytes(_CHECKSUM, "little") != checksum:
        raise NatsTokenError("a NATS key with a wrong checksum")
    return body


def decorated_parts(content: bytes) -> tuple[bytes, ...]:
    """Return what stands between lines of dashes in a file: in a credentials file first the token, then the seed.

    One expression would say all of it, as in the engine, but Python would try it for hours on a long line of dashes.
    """
    *ended, rest = content.split(b"\n")
    lines = [*(line.removesuffix(b"\r") for line in ended), rest]
    parts, place = [], 0
    while place + 2 < len(lines):
        before, part, after = lines[place : place + 3]
        found = _ends_in_dashes(before) and after.startswith(_DASHES) and _ends_in_dashes(after)
        if found and _PART.fullmatch(part):
            parts.append(part)
            place += 3
        else:
            place += 1
    return tuple(parts)


def _ends_in_dashes(line: bytes) -> bool:
    """Tell whether a line ends in dashes and has others before them."""
    return line.endswith(_DASHES) and 0 <= line.find(_DASHES) <= len(line) - 2 * len(_DASHES)


def read_token(content: bytes) -> NatsToken:
    """Read a token as a file has it, alone or between lines of dashes, and check its signature.

    Raises:
        NatsTokenError: the engine would not read it, or another key than the one it names signed it.
    """
    if len(content) > LARGEST_TOKEN:
        raise NatsTokenError("larger than 1 MiB")
    parts = decorated_parts(content)
    try:
        text = (parts[0] if parts else content.strip()).decode("ascii")
        head, claims, tail = text.split(".")
        header = msgspec.json.decode(decode_base64url(head), type=_Header)
        body = msgspec.json.decode(decode_base64url(claims), type=_Body)
        signature = decode_base64url(tail)
    except (ValueError, RecursionError):
        raise NatsTokenError("not a NATS token") from None
    if header.typ.upper() != "JWT" or header.alg.lower() not in _ALGORITHMS:
        raise NatsTokenError("signed with an algorithm that NATS does not use")
    # Tokens of the first version have their type at another place, and their signature leaves the header out.
    first = bool(body.type)
    if not first and body.nats.get("version") != VERSION:
        raise NatsTokenError(f"not of version {VERSION}, the only one that the engine reads")
    signed = claims if first else f"{head}.{claims}"
    if not ed25519_verifies(public_key(body.iss, *Role), signature, signed.encode("ascii")):
        raise NatsTokenError("changed after it was signed, or not signed by the key it names")
    kind = body.type if first else str(body.nats.get("type"))
    return NatsToken(text, kind, body.iss, body.sub, body.name, body.exp, body.nbf, body.nats)
