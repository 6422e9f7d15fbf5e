"""Making tokens: what each kind grants, written as claims and signed.

Nothing here reads a clock or makes randomness: both come in with the :class:`Birth` of a token.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from choria_broker.security import chain, keys, ksuid
from choria_broker.security.signing import SigningKey, public_hex, sign_token
from choria_broker.security.token_permissions import ClientPermission, ServerPermission
from choria_broker.security.tokens_claims import Purpose
from choria_broker.values import Discreet

DEFAULT_ISSUER = "Choria Tokens Package v0.0.1"
"""``iss`` of tokens that an organization makes itself, as Choria's own tools write it."""

DEFAULT_ORGANIZATION = "choria"
"""``ou`` unless another one is asked for."""


class IssuingError(ValueError):
    """A token cannot be made as asked; the message says why and repeats nothing secret."""


class Birth(msgspec.Struct, frozen=True):
    """When a token is made and how long it lasts.

    Attributes:
        issued_at: the moment it is made, in Unix seconds.
        expires: the moment it ends, in Unix seconds.
        random: 16 random bytes for its id.
    """

    issued_at: int
    expires: int
    random: bytes

    @property
    def token_id(self) -> str:
        """``jti``: a KSUID that has the time of issue inside."""
        return ksuid.build(self.issued_at, self.random)


class ClientGrant(msgspec.Struct, frozen=True, kw_only=True):
    """What a client token says.

    Attributes:
        caller: ``callerid``.
        public_key: key of the holder as 64 hex digits, empty for a token that no broker accepts.
        organization: ``ou``, empty for none.
        permissions: flags to set.
        agents: agents the client may use.
        opa_policy: Open Policy Agent policy, empty for none.
        user_properties: free properties of the user.
        publish_subjects: additional subjects to publish to.
        subscribe_subjects: additional subjects to subscribe to, each with or without a queue behind a space.
    """

    PURPOSE: ClassVar[Purpose] = Purpose.CLIENT

    caller: str
    public_key: str = ""
    organization: str = DEFAULT_ORGANIZATION
    permissions: Collection[ClientPermission] = ()
    agents: Sequence[str] = ()
    opa_policy: str = ""
    user_properties: Mapping[str, str] = msgspec.field(default_factory=dict)
    publish_subjects: Sequence[str] = ()
    subscribe_subjects: Sequence[str] = ()

    def payload(self) -> dict[str, object]:
        """Write the claims that only this kind of token has.

        Raises:
            IssuingError: when the caller is empty.
        """
        if not self.caller:
            raise IssuingError("a client token needs a caller id")
        return {
            "callerid": self.caller,
            **_present(
                agents=list(self.agents),
                ou=self.organization,
                user_properties=dict(self.user_properties),
                opa_policy=self.opa_policy,
            ),
            "permissions": _flags(ClientPermission, self.permissions),
            **_present(pub_subjects=list(self.publish_subjects), sub_subjects=list(self.subscribe_subjects)),
        }


class ServerGrant(msgspec.Struct, frozen=True, kw_only=True):
    """What a server token says.

    Attributes:
        identity: ``identity``.
        public_key: key of the server as 64 hex digits.
        collectives: sub collectives it belongs to.
        organization: ``ou``, empty for none.
        permissions: flags to set.
        publish_subjects: additional subjects to publish to.
    """

    PURPOSE: ClassVar[Purpose] = Purpose.SERVER

    identity: str
    public_key: str
    collectives: Sequence[str]
    organization: str = DEFAULT_ORGANIZATION
    permissions: Collection[ServerPermission] = ()
    publish_subjects: Sequence[str] = ()

    def payload(self) -> dict[str, object]:
        """Write the claims that only this kind of token has.

        Raises:
            IssuingError: when the identity or the key is missing, or a permission needs another one.
        """
        if not self.identity:
            raise IssuingError("a server token needs an identity")
        if not self.public_key:
            raise IssuingError("a server token needs the public key of the server")
        if ServerPermission.GOVERNOR in self.permissions and ServerPermission.STREAMS not in self.permissions:
            raise IssuingError("a server can use governors only together with streams")
        return {
            "identity": self.identity,
            "collectives": list(self.collectives),
            "permissions": _flags(ServerPermission, self.permissions),
            **_present(ou=self.organization, pub_subjects=list(self.publish_subjects)),
        }


class ProvisioningGrant(Discreet, frozen=True, kw_only=True):
    """What a provisioning token says; it has secrets in it, so it has no repr that shows them.

    Attributes:
        access_token: ``cht``, which the provisioner must know to use the node's provisioning agent.
        secure: whether the node insists on TLS while it is provisioned.
        urls: brokers to be provisioned through.
        srv_domain: domain whose SRV records name them, empty for none.
        by_default: whether a node without configuration provisions itself.
        registration: file the node publishes as registration data, empty for none.
        facts: file the node takes facts from, empty for none.
        username: user the node connects as, empty for none.
        password: the password for it, empty for none.
        extensions: anything else, None for nothing.
        organization: ``ou``, empty for none.
        protocol_v2: whether the node speaks version 2 of the network protocol.
        upgradable: whether the provisioner may upgrade the node in place.
    """

    PURPOSE: ClassVar[Purpose] = Purpose.PROVISIONING

    access_token: str
    secure: bool = False
    urls: Sequence[str] = ()
    srv_domain: str = ""
    by_default: bool = False
    registration: str = ""
    facts: str = ""
    username: str = ""
    password: str = ""
    extensions: Mapping[str, object] | None = None
    organization: str = DEFAULT_ORGANIZATION
    protocol_v2: bool = False
    upgradable: bool = False

    def payload(self) -> dict[str, object]:
        """Write the claims that only this kind of token has.

        Raises:
            IssuingError: when it does not say how to reach a provisioning broker.
        """
        if not (self.urls or self.srv_domain):
            raise IssuingError("a provisioning token needs URLs or an SRV domain")
        return {
            "cht": self.access_token,
            "chs": self.secure,
            **_present(chu=",".join(self.urls), chsrv=self.srv_domain),
            "chpd": self.by_default,
            **_present(chrd=self.registration, chf=self.facts, chusr=self.username, chpwd=self.password),
            "extensions": self.extensions,
            **_present(ou=self.organization, v2=self.protocol_v2, update=self.upgradable),
        }


Grant = ClientGrant | ServerGrant | ProvisioningGrant
"""What a token of any kind says."""


def claims(grant: Grant, birth: Birth, origin: Mapping[str, object] | None = None) -> dict[str, object]:
    """Write all claims of a token.

    Args:
        grant: what it says.
        birth: when it is made.
        origin: claims about a chain of trust, None for a token that an organization makes itself.

    Raises:
        IssuingError: when the grant cannot be made.
    """
    subject, holder = "", ""
    if isinstance(grant, ProvisioningGrant):
        subject = grant.PURPOSE.value
    else:
        holder = _hex_key(grant.public_key)
    come_from = {"tcs": "", "issexp": None, "iss": DEFAULT_ISSUER, **(origin or {})}
    return {
        **grant.payload(),
        "purpose": grant.PURPOSE.value,
        **_present(
            tcs=come_from["tcs"],
            public_key=holder,
            issexp=come_from["issexp"],
            iss=come_from["iss"],
            sub=subject,
        ),
        "exp": birth.expires,
        "nbf": birth.issued_at,
        "iat": birth.issued_at,
        "jti": birth.token_id,
    }


def issue(grant: Grant, key: SigningKey, birth: Birth) -> str:
    """Make a token that an organization issues itself.

    Raises:
        IssuingError: when the grant cannot be made.
    """
    return _signed(claims(grant, birth), key)


def issue_chain_issuer(grant: ClientGrant, organization: SigningKey, birth: Birth) -> str:
    """Make the token of a chain issuer, whose holder can then make tokens itself.

    Args:
        grant: what the chain issuer's own token says.
        organization: key of the organization, which has to be an ed25519 key.
        birth: when it is made.

    Raises:
        IssuingError: when the grant cannot be made, or one of the keys cannot be part of a chain.
    """
    if not grant.public_key:
        raise IssuingError("a chain issuer's token needs the public key of the issuer")
    if not isinstance(organization, Ed25519PrivateKey):
        raise IssuingError("only an ed25519 key can sign for a chain issuer")
    voucher = organization.sign(chain.vouched_text(birth.token_id, grant.public_key)).hex()
    origin = {"tcs": voucher, "iss": f"{chain.ISSUER_PREFIX}{public_hex(organization)}"}
    return _signed(claims(grant, birth, origin), organization)


def _signed(payload: Mapping[str, object], key: SigningKey) -> str:
    try:
        return sign_token(payload, key)
    except ValueError:
        raise IssuingError("a token cannot contain infinite numbers or text that is not UTF-8") from None


def _hex_key(text: str) -> str:
    if text and not keys.is_hex_key(text):
        raise IssuingError("the public key is not 64 hex digits of an ed25519 key")
    return text.lower()


def _flags(kind: type[enum.StrEnum], chosen: Collection[str]) -> dict[str, bool]:
    return {flag.value: True for flag in kind if flag in chosen}


def _present(**values: object) -> dict[str, object]:
    return {name: value for name, value in values.items() if value}
