"""What tokens say, read strictly: a claim of the wrong type makes the whole token worthless."""

from __future__ import annotations

import enum
import functools
import math
import sys
from collections.abc import Mapping
from typing import ClassVar, Self, TypedDict, TypeVar

import msgspec

from choria_broker.security.token_permissions import ClientPermission, ServerPermission

Payload = Mapping[str, object]
"""Claims as they came out of JSON."""

_OBJECT = 400
"""Bytes that claims take besides their texts, about."""

_Flag = TypeVar("_Flag", bound=enum.StrEnum)

MOST_COLLECTIVES = 64
"""Collectives one server may be in: each costs several subjects, so that a long list takes time and room."""

LONGEST_IDENTITY = 255
"""Characters of a server's identity, which stands in a subject of each of its collectives; a host name has 253."""


class Purpose(enum.StrEnum):
    """What a token is for."""

    CLIENT = "choria_client_id"
    SERVER = "choria_server"
    PROVISIONING = "choria_provisioning"


class ClaimError(ValueError):
    """A claim has the wrong type; the message names the claim and never its value."""


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """Claims every token may have. Moments are Unix seconds with fractions cut off, None when absent.

    Attributes:
        purpose: ``purpose``, empty when absent.
        subject: ``sub``, empty when absent.
        organization: ``ou``, empty when absent.
        public_key: ``public_key``, key of the holder as hex, empty when absent.
        issuer: ``iss``, empty when absent.
        trust_chain: ``tcs``, empty when absent.
        issuer_expires: ``issexp``, when the chain issuer's own token ends.
        expires: ``exp``.
        not_before: ``nbf``.
        issued_at: ``iat``.
        token_id: ``jti``, empty when absent.
    """

    PURPOSE: ClassVar[Purpose]
    CHAINED: ClassVar[bool]
    """Whether a chain issuer may make such tokens."""

    purpose: str
    subject: str
    organization: str
    public_key: str
    issuer: str
    trust_chain: str
    issuer_expires: int | None
    expires: int | None
    not_before: int | None
    issued_at: int | None
    token_id: str

    @classmethod
    def read(cls, payload: Payload) -> Self:
        """Read the claims out of a payload.

        Raises:
            ClaimError: when a known claim has the wrong type.
        """
        raise NotImplementedError

    @property
    def size(self) -> int:
        """How many bytes the claims take, about."""
        texts = (self.purpose, self.subject, self.organization, self.public_key, self.issuer, self.trust_chain)
        return _OBJECT + sum(map(sys.getsizeof, (*texts, self.token_id, *self.own_texts)))

    @property
    def own_texts(self) -> tuple[str, ...]:
        """The texts of this kind of token."""
        return ()

    @property
    def serves_purpose(self) -> bool:
        """True when the token is for what it is being used for."""
        return self.purpose == self.PURPOSE

    @property
    def missing(self) -> str:
        """Name of the first claim that must not be empty and is, empty when all are there."""
        return ""


class ClientClaims(Claims, frozen=True, kw_only=True):
    """Claims of a client token.

    Attributes:
        caller: ``callerid``.
        permissions: flags that are set.
        publish_subjects: ``pub_subjects``, as written in the token.
        subscribe_subjects: ``sub_subjects``, as written in the token.
    """

    PURPOSE: ClassVar[Purpose] = Purpose.CLIENT
    CHAINED: ClassVar[bool] = True

    caller: str
    permissions: frozenset[ClientPermission]
    publish_subjects: tuple[str, ...]
    subscribe_subjects: tuple[str, ...]

    @property
    def own_texts(self) -> tuple[str, ...]:
        """The texts of a client's token."""
        return (self.caller, *self.publish_subjects, *self.subscribe_subjects)

    @classmethod
    def read(cls, payload: Payload) -> Self:
        """Read the claims of a client token.

        Raises:
            ClaimError: when a known claim has the wrong type.
        """
        _texts(payload, "agents")
        _text(payload, "opa_policy")
        properties = _object(payload, "user_properties")
        for name in properties:
            _text(properties, name, shown="user_properties")
        return cls(
            caller=_text(payload, "callerid"),
            permissions=_flags(payload, ClientPermission),
            publish_subjects=_texts(payload, "pub_subjects"),
            subscribe_subjects=_texts(payload, "sub_subjects"),
            **_common(payload),
        )

    @property
    def missing(self) -> str:
        """Name of the first claim that must not be empty and is."""
        if not self.caller:
            return "callerid"
        return "" if self.public_key else "public_key"


class ServerClaims(Claims, frozen=True, kw_only=True):
    """Claims of a server token.

    Attributes:
        identity: ``identity``.
        collectives: ``collectives``, as written in the token.
        permissions: flags that are set.
        publish_subjects: ``pub_subjects``, as written in the token.
    """

    PURPOSE: ClassVar[Purpose] = Purpose.SERVER
    CHAINED: ClassVar[bool] = True

    identity: str
    collectives: tuple[str, ...]
    permissions: frozenset[ServerPermission]
    publish_subjects: tuple[str, ...]

    @property
    def own_texts(self) -> tuple[str, ...]:
        """The texts of a server's token."""
        return (self.identity, *self.collectives, *self.publish_subjects)

    @classmethod
    def read(cls, payload: Payload) -> Self:
        """Read the claims of a server token.

        Raises:
            ClaimError: when a known claim has the wrong type.
        """
        identity, collectives = _text(payload, "identity"), _texts(payload, "collectives")
        if len(identity) > LONGEST_IDENTITY:
            raise ClaimError(f"claim identity has more than {LONGEST_IDENTITY} characters")
        if len(collectives) > MOST_COLLECTIVES:
            raise ClaimError(f"claim collectives has more than {MOST_COLLECTIVES} entries")
        return cls(
            identity=identity,
            collectives=collectives,
            permissions=_flags(payload, ServerPermission),
            publish_subjects=_texts(payload, "pub_subjects"),
            **_common(payload),
        )

    @property
    def missing(self) -> str:
        """Name of the first claim that must not be empty and is."""
        if not self.identity:
            return "identity"
        return "" if self.public_key else "public_key"


class ProvisioningClaims(Claims, frozen=True, kw_only=True):
    """Claims of a provisioning token; what configures the node is checked for its type and not kept."""

    PURPOSE: ClassVar[Purpose] = Purpose.PROVISIONING
    CHAINED: ClassVar[bool] = False

    @classmethod
    def read(cls, payload: Payload) -> Self:
        """Read the claims of a provisioning token.

        Raises:
            ClaimError: when a known claim has the wrong type.
        """
        for name in ("cht", "chu", "chsrv", "chrd", "chf", "chusr", "chpwd"):
            _text(payload, name)
        for name in ("chs", "chpd", "v2", "update"):
            _truth(payload, name)
        _object(payload, "extensions")
        return cls(**_common(payload))

    @property
    def serves_purpose(self) -> bool:
        """True when purpose or subject say provisioning; early tokens have only the subject."""
        return Purpose.PROVISIONING in {self.purpose, self.subject}


def stated_purpose(payload: Payload) -> str:
    """Read the purpose of a token, empty when it states none; decides only how the token is looked at.

    Raises:
        ClaimError: when it is not text.
    """
    return _text(payload, "purpose")


def claims_of(payload: Payload) -> type[Claims] | None:
    """Find the kind of token that claims belong to, going by the purpose or, in early tokens, the subject.

    Returns:
        The kind, None when the token is for no known purpose; the claims still have to be read.
    """
    for kind in (ClientClaims, ServerClaims, ProvisioningClaims):
        if payload.get("purpose") == kind.PURPOSE:
            return kind
    early = not payload.get("purpose") and payload.get("sub") == Purpose.PROVISIONING
    return ProvisioningClaims if early else None


def stated_organization(payload: Payload) -> str:
    """Read the organization of a token, empty when it states none; decides only whose key is tried.

    Raises:
        ClaimError: when it is not text.
    """
    return _text(payload, "ou")


class _Common(TypedDict):
    purpose: str
    subject: str
    organization: str
    public_key: str
    issuer: str
    trust_chain: str
    issuer_expires: int | None
    expires: int | None
    not_before: int | None
    issued_at: int | None
    token_id: str


def stated_holder(payload: Payload) -> str:
    """Read the name a token claims for its holder, empty when there is none; fit only for telling an operator."""
    for name in ("callerid", "identity"):
        value = payload.get(name)
        if value and isinstance(value, str):
            return value
    return ""


def _common(payload: Payload) -> _Common:
    audience = payload.get("aud")
    if not isinstance(audience, str):
        _texts(payload, "aud")
    return {
        "purpose": _text(payload, "purpose"),
        "subject": _text(payload, "sub"),
        "organization": _text(payload, "ou"),
        "public_key": _text(payload, "public_key"),
        "issuer": _text(payload, "iss"),
        "trust_chain": _text(payload, "tcs"),
        "issuer_expires": _moment(payload, "issexp"),
        "expires": _moment(payload, "exp"),
        "not_before": _moment(payload, "nbf"),
        "issued_at": _moment(payload, "iat"),
        "token_id": _text(payload, "jti"),
    }


def _text(payload: Payload, name: str, shown: str = "") -> str:
    value = payload.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or not (value.isascii() or _encodable(value)):
        raise ClaimError(f"claim {shown or name} is not text")
    return value


def _encodable(text: str) -> bool:
    # JSON can spell half of a surrogate pair, which no wire format and no digest can take.
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _texts(payload: Payload, name: str) -> tuple[str, ...]:
    value = payload.get(name)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(entry, str) and _encodable(entry) for entry in value):
        raise ClaimError(f"claim {name} is not a list of text")
    return tuple(value)


def _truth(payload: Payload, name: str) -> bool:
    value = payload.get(name)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise ClaimError(f"claim {name} is not true or false")
    return value


def _object(payload: Payload, name: str) -> Payload:
    value = payload.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ClaimError(f"claim {name} is not an object")
    return value


def _flags(payload: Payload, kind: type[_Flag]) -> frozenset[_Flag]:
    flags = _object(payload, "permissions")
    if not flags:
        return frozenset()
    known = _by_name(kind)
    held: set[_Flag] = set()
    for name, value in flags.items():
        if value is False or value is None or name not in known:
            continue
        if value is not True:
            raise ClaimError(f"claim permissions.{name} is not true or false")
        held.add(known[name])
    return frozenset(held)


@functools.lru_cache(maxsize=4)
def _by_name(kind: type[_Flag]) -> Mapping[str, _Flag]:
    return {str(flag): flag for flag in kind}


def _moment(payload: Payload, name: str) -> int | None:
    value = payload.get(name)
    # A bool is an int to Python and not a number to JSON.
    if value is None or type(value) is int:
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ClaimError(f"claim {name} is not a number")
    if isinstance(value, float) and not math.isfinite(value):
        raise ClaimError(f"claim {name} is not a number")
    return int(value)
