"""What is known of a connection when it asks to be let in."""

from __future__ import annotations

import dataclasses
import enum

import msgspec

from choria_broker.settings.secret import MASK


class ConnectionKind(enum.StrEnum):
    """Kind of connection, as far as the engine can tell; websocket clients are ``CLIENT``."""

    CLIENT = "client"
    LEAFNODE = "leafnode"
    IN_PROCESS = "in_process"


class TlsState(enum.StrEnum):
    """Transport security of a connection."""

    NONE = "none"
    ANON = "anon"
    """TLS, but no verified client certificate chain."""
    MTLS = "mtls"
    """TLS with at least one verified client certificate chain."""


class Intermediate(msgspec.Struct, frozen=True):
    """A certificate between a leaf and its CA; its texts are as those of :class:`Certificate`.

    Attributes:
        key: SHA-256 of its public key in DER as lower-case hex.
    """

    serial: str
    issuer: str
    fingerprint: str
    key: str = ""


class Authority(msgspec.Struct, frozen=True):
    """A certificate of the broker's CA file in which a chain ends.

    Attributes:
        subject: its distinguished name.
        fingerprint: SHA-256 of the DER form as lower-case hex.
        key: SHA-256 of its public key in DER as lower-case hex.
    """

    subject: str
    fingerprint: str
    key: str = ""


class Certificate(msgspec.Struct, frozen=True):
    """Facts of the leaf certificate a client presented; no decision looks at its names.

    Attributes:
        common_name: subject common name.
        serial: serial number as lower-case hex.
        issuer: issuer distinguished name.
        fingerprint: SHA-256 of the DER form as lower-case hex.
        not_after: when it ends, Unix seconds; 0 when unknown.
        intermediates: the others of the verified chain, from the leaf up, without its last one.
        authority: the last of the verified chain; None when the certificate was not verified.
    """

    common_name: str = ""
    serial: str = ""
    issuer: str = ""
    fingerprint: str = ""
    not_after: int = 0
    intermediates: tuple[Intermediate, ...] = ()
    authority: Authority | None = None


@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class ConnectRequest:
    """One question: may this connection come in, and what may it do?

    Attributes:
        kind: kind of connection.
        tls: transport security.
        address: peer address without port; empty when unknown.
        nonce: challenge sent in INFO, empty when none was.
        user, password, token, signature, jwt, nkey, name: fields of CONNECT, empty when absent. ``token`` is
            ``auth_token``; it carries the Choria JWT.
        language, version: of the program, as CONNECT claims.
        token_unread: a token was presented by a peer that is not known by tokens; it was not even sent to the broker.
        certificate: leaf of the presented certificate, None when none was presented.
        connection_id: the engine's number for the connection, 0 when there is none.
        unmet: a verdict about it had conditions that do not hold, so that nothing may be left open now.
    """

    kind: ConnectionKind
    tls: TlsState
    address: str = ""
    nonce: str = ""
    user: str = ""
    password: str = ""
    token: str = ""
    signature: str = ""
    jwt: str = ""
    nkey: str = ""
    name: str = ""
    certificate: Certificate | None = None
    connection_id: int = 0
    token_unread: bool = False
    language: str = ""
    version: str = ""
    unmet: bool = False

    @property
    def has_token(self) -> bool:
        """A token was presented, read or not."""
        return self.token_unread or bool(self.token)

    def __repr__(self) -> str:
        """Write the request with every secret masked."""
        secrets = {"password", "token", "signature", "jwt"}
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        shown = (
            f"{name}={MASK if name in secrets and value else repr(value)}"  # an absent secret is no secret
            for name, value in values.items()
        )
        return f"ConnectRequest({', '.join(shown)})"
