"""What would be decided about a connection that somebody describes: the same code that decides about real ones."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import ClassVar

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from choria_broker.access.build import PolicyError, policy_from
from choria_broker.access.decision import decide
from choria_broker.access.explain import decide_for_holder, refused_by_handshake
from choria_broker.access.request import Authority, Certificate, ConnectionKind, ConnectRequest, Intermediate, TlsState
from choria_broker.access.subjects import is_subject, is_subscription
from choria_broker.access.verdict import Verdict
from choria_broker.explaining.explanation import Explanation, Subjects
from choria_broker.security import client_certificate
from choria_broker.security.crls import key_of
from choria_broker.settings.broker import Settings
from choria_broker.values import Discreet

LOOPBACK = "127.0.0.1"
"""Where a connection comes from of which that is not said."""

_NO_NONCE = "there is no nonce to sign offline: the holder of the token is assumed to have its private key"


class DescriptionError(ValueError):
    """A description makes no sense, or cannot be judged; the message says why, and is a sentence without its end."""


class Description(Discreet, frozen=True):
    """A connection as somebody describes it.

    Attributes:
        kind: kind of connection.
        tls: state of TLS, None to find it out.
        address: peer address, empty when none was given.
        user, password, token: fields of CONNECT.
        certificate: PEM chain, None when there is none.
        proven: whoever presents the token is believed to hold its key.
    """

    kind: ConnectionKind = ConnectionKind.CLIENT
    tls: TlsState | None = None
    address: str = ""
    user: str = ""
    password: str = ""
    token: str = ""
    certificate: bytes | None = None
    proven: bool = True


class Names(msgspec.Struct, frozen=True):
    """How the parts of a description are called where they are asked for; they stand in sentences.

    Attributes:
        certificate, tls, publish, subscribe: those that can contradict something or make no sense.
        address: how another address is given.
    """

    certificate: str = "--certificate"
    tls: str = "--tls"
    publish: str = "--publish"
    subscribe: str = "--subscribe"
    address: str = "set another address with --address"


def subjects_of(publish: Sequence[str], subscribe: Sequence[str], names: Names) -> Subjects:
    """Take the subjects that are asked about.

    Raises:
        DescriptionError: one of them is none.
    """
    for subject in publish:
        if not is_subject(subject) or {"*", ">"}.intersection(subject.split(".")):
            raise DescriptionError(f"{names.publish} {subject!r}: not a subject to which messages can be sent")
    for subject in subscribe:
        if not is_subscription(subject):
            raise DescriptionError(f"{names.subscribe} {subject!r}: not a subject, or a subject, a space and a queue")
    return Subjects(tuple(publish), tuple(subscribe))


class Judge(Discreet, frozen=True):
    """Explains what a broker would decide.

    Attributes:
        settings: what the broker was told.
        authorities: content of its CA file; empty without one.
        names: how the parts of descriptions are called.
    """

    hidden: ClassVar[frozenset[str] | None] = frozenset({"authorities"})

    settings: Settings
    authorities: bytes
    names: Names = Names()

    def explain(self, described: Description, subjects: Subjects, now: float) -> Explanation:
        """Explain what would be decided about a connection.

        Args:
            described: the connection.
            subjects: what is asked besides.
            now: moment of the decision, Unix seconds.

        Raises:
            DescriptionError: the description makes no sense, or the broker does not decide.
        """
        operator = self.settings.network.operator
        if operator:
            raise DescriptionError(
                f"operator {operator.name} decides on connections: nats-server verifies the users' tokens and this "
                "broker has no policy to explain; nsc describe user shows what a user may do"
            )
        try:
            policy = policy_from(self.settings)
        except PolicyError as error:
            raise DescriptionError(str(error)) from error
        request, assumptions = self._request(described)
        decided = decide_for_holder if described.proven else decide
        verdict = self._unverified(request, described, now) or decided(request, policy, now)
        if described.token and described.proven and any(step.rule == "token-nonce" for step in verdict.trail):
            assumptions.append(_NO_NONCE)
        certificate = request.certificate
        return Explanation(
            connection={
                "kind": request.kind,
                "tls": request.tls,
                "from": request.address,
                "user": request.user,
                "certificate": certificate.common_name if certificate else "",
                "serial": certificate.serial if certificate else "",
                "fingerprint": certificate.fingerprint if certificate else "",
                "token": "presented" if request.has_token else "",
            },
            verdict=verdict,
            assumptions=tuple(assumptions),
            subjects=subjects.under(verdict),
        )

    def _request(self, described: Description) -> tuple[ConnectRequest, list[str]]:
        """Turn the description into the question the engine would ask, and say what was assumed for that."""
        assumptions = []
        address = described.address
        if not address and described.kind is not ConnectionKind.IN_PROCESS:
            address = LOOPBACK
            assumptions.append(f"the connection comes from {LOOPBACK}; {self.names.address}")
        tls, assumption = self._tls_state(described)
        if assumption:
            assumptions.append(assumption)
        presented = described.certificate is not None and tls is TlsState.MTLS
        request = ConnectRequest(
            kind=described.kind,
            tls=tls,
            address=address,
            user=described.user,
            password=described.password,
            token=described.token,
            certificate=self._facts(described.certificate) if presented and described.certificate else None,
        )
        return request, assumptions

    def _tls_state(self, described: Description) -> tuple[TlsState, str]:
        """Find out the state of TLS, and what had to be assumed for it."""
        tls = self.settings.tls
        offered = tls.everywhere if described.kind is ConnectionKind.LEAFNODE else tls.enabled
        if described.certificate is None:
            if described.tls is TlsState.MTLS:
                return TlsState.MTLS, "the program presents a certificate that the broker verifies"
            if described.tls is not None:
                return described.tls, ""
            return (TlsState.ANON if offered and described.kind is not ConnectionKind.IN_PROCESS else TlsState.NONE), ""
        if described.tls not in (None, TlsState.MTLS):
            names = self.names
            raise DescriptionError(f"{names.certificate} and {names.tls} {described.tls} contradict each other")
        if not offered:
            return TlsState.NONE, "this port has no TLS, so the certificate is never sent"
        if not tls.verify_clients:
            return TlsState.ANON, "this broker does not ask for certificates, so the certificate is never sent"
        return TlsState.MTLS, ""

    def _trusted(self) -> tuple[x509.Certificate, ...]:
        files = self.settings.tls.files
        return _chain(self.authorities, str(files.ca)) if files and files.ca else ()

    def _unverified(self, request: ConnectRequest, described: Description, now: float) -> Verdict | None:
        """Judge the certificate as the engine does in the handshake; None when it passes or there is none."""
        trusted = self._trusted() if request.tls is TlsState.MTLS and described.certificate is not None else ()
        if not trusted or described.certificate is None:
            return None
        chain = _chain(described.certificate, self.names.certificate)
        refusal = client_certificate.refusal(chain, trusted, dt.datetime.fromtimestamp(now, dt.UTC))
        return refused_by_handshake(refusal) if refusal else None

    def _facts(self, pem: bytes) -> Certificate:
        chain = _chain(pem, self.names.certificate)
        leaf, *above = client_certificate.path(chain, self._trusted())
        names = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return Certificate(
            common_name=str(names[-1].value) if names else "",
            serial=f"{leaf.serial_number:x}",
            issuer=leaf.issuer.rfc4514_string(),
            fingerprint=_fingerprint(leaf),
            not_after=int(leaf.not_valid_after_utc.timestamp()),
            intermediates=tuple(
                Intermediate(f"{each.serial_number:x}", each.issuer.rfc4514_string(), _fingerprint(each), key_of(each))
                for each in above[:-1]
            ),
            authority=Authority(above[-1].subject.rfc4514_string(), _fingerprint(above[-1]), key_of(above[-1]))
            if above
            else None,
        )


def _fingerprint(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex()


def _chain(pem: bytes, where: str) -> tuple[x509.Certificate, ...]:
    try:
        return client_certificate.load_chain(pem)
    except client_certificate.CertificateFileError as error:
        raise DescriptionError(f"{where}: {error}") from error
