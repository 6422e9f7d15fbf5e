"""``choria-broker explain``: what happens to a connection, and why."""

from __future__ import annotations

import dataclasses
import datetime as dt
import ipaddress
import sys
import time
from pathlib import Path
from typing import Never

import click
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from choria_broker.access.build import PolicyError, policy_from
from choria_broker.access.decision import decide
from choria_broker.access.explain import decide_for_holder, refused_by_handshake
from choria_broker.access.policy import Policy
from choria_broker.access.request import Authority, Certificate, ConnectionKind, ConnectRequest, Intermediate, TlsState
from choria_broker.access.subjects import is_subject, is_subscription
from choria_broker.access.verdict import Verdict
from choria_broker.audit.decided import Decision
from choria_broker.audit.denials import Noted
from choria_broker.cli.answers import print_json
from choria_broker.cli.check import show_findings
from choria_broker.cli.explanation import Explanation, Subjects, document, text
from choria_broker.cli.options import as_json, configuration
from choria_broker.config.load import load
from choria_broker.config.surroundings.facts import Overrides
from choria_broker.control.client import ControlError, ask_decision, ask_status
from choria_broker.security import client_certificate
from choria_broker.security.crls import key_of
from choria_broker.settings.broker import Settings
from choria_broker.wording import plain

_LOOPBACK = "127.0.0.1"
_LARGEST_INPUT = 1024 * 1024
_JSON_START = "ey"  # base64url of a JSON object that has a member
_TOKEN_DOTS = 2
_DESCRIBING = ("certificate", "token", "address", "user", "password_stdin", "tls", "kind", "nonce_proof")
_NO_NONCE = "there is no nonce to sign offline: the holder of the token is assumed to have its private key"


@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class Description:
    """A connection as the command line describes it.

    Attributes:
        kind: kind of connection.
        tls: state of TLS, None to find it out.
        address: peer address, empty when none was given.
        user, password, token: fields of CONNECT.
        certificate: PEM chain, None when there is none.
        proven: whoever presents the token is believed to hold its key.
    """

    kind: ConnectionKind
    tls: TlsState | None
    address: str
    user: str
    password: str
    token: str
    certificate: bytes | None
    proven: bool


def _address(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """Take an IP address, the only kind of address a connection is known by."""
    try:
        return str(ipaddress.ip_address(value)) if value else ""
    except ValueError:
        raise click.BadParameter(f"{value!r} is not an IP address") from None


@click.command()
@configuration
@click.option("--certificate", type=click.Path(path_type=Path), help="PEM certificate the program presents.")
@click.option("--token", help="Token the program presents: a file, the token itself, or - for standard input.")
@click.option("--address", default="", callback=_address, help=f"Address it connects from; {_LOOPBACK} when not given.")
@click.option("--user", default="", help="User it sends.")
@click.option("--password-stdin", is_flag=True, help="Read the password it sends from standard input.")
@click.option(
    "--tls",
    type=click.Choice([state.value for state in TlsState]),
    help="State of TLS; worked out from the other options when not given.",
)
@click.option(
    "--kind",
    type=click.Choice([kind.value for kind in ConnectionKind]),
    default=ConnectionKind.CLIENT.value,
    show_default=True,
    help="Kind of connection.",
)
@click.option(
    "--nonce-proof",
    type=click.Choice(["assume", "missing"]),
    default="assume",
    show_default=True,
    help="Whether it proves that it holds the token's private key.",
)
@click.option(
    "--connection",
    type=int,
    metavar="ID",
    help="ID (cid) of a recent connection to ask the running broker about, instead of describing one.",
)
@click.option("--publish", multiple=True, metavar="SUBJECT", help="Ask whether it may publish to a subject.")
@click.option("--subscribe", multiple=True, metavar="SUBJECT", help="Ask whether it may subscribe to a subject.")
@as_json
def explain(  # noqa: PLR0913 - one parameter per option
    *,
    config: Path | None,
    overrides: Overrides,
    certificate: Path | None,
    token: str | None,
    address: str,
    user: str,
    password_stdin: bool,
    tls: str | None,
    kind: str,
    nonce_proof: str,
    connection: int | None,
    publish: tuple[str, ...],
    subscribe: tuple[str, ...],
    as_json: bool,
) -> None:
    """Explain what the broker would decide about a connection, or what it decided.

    Without --connection nothing is asked over the network: the answer comes from the configuration file alone.

    Exit status 0: the connection is let in and may use all subjects asked about. 1: it is not, or may not. 2: the
    question makes no sense or something could not be read.
    """
    if config is None:
        raise click.UsageError("configuration file required")
    if token == "-" and password_stdin:  # noqa: S105 - the name of standard input
        raise click.UsageError("--token - and --password-stdin both read standard input; put the token in a file")
    subjects = _subjects(publish, subscribe)
    if connection is not None:
        _only_connection()
        _end(_decided_by_broker(config, connection, subjects), as_json=as_json)
    described = Description(
        kind=ConnectionKind(kind),
        tls=TlsState(tls) if tls else None,
        address=address,
        user=user,
        password=_standard_input("--password-stdin").partition("\n")[0].removesuffix("\r") if password_stdin else "",
        token=_token(token) if token is not None else "",
        certificate=_read(certificate, "--certificate") if certificate else None,
        proven=nonce_proof == "assume",
    )
    _end(_explain(_settings(config, overrides), described, subjects), as_json=as_json)


def _end(explanation: Explanation, *, as_json: bool) -> Never:
    """Print an explanation and end the command."""
    if as_json:
        print_json(document(explanation))
    else:
        click.echo("\n".join(text(explanation)))
    raise SystemExit(0 if explanation.allowed else 1)


def _only_connection() -> None:
    """Refuse a description beside the number of a connection: one of them would be ignored."""
    context = click.get_current_context()
    for name in _DESCRIBING:
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--connection cannot be used with --{name.replace('_', '-')}")


def _decided_by_broker(config: Path, connection: int, subjects: Subjects) -> Explanation:
    try:
        decision = ask_decision(config, connection)
    except ControlError as error:
        raise click.UsageError(plain(str(error))) from error
    verdict = Verdict(
        allowed=decision.allowed,
        rule=decision.rule,
        reason=decision.reason,
        method=decision.method,
        account=decision.account,
        username=decision.username,
        permissions=decision.permissions,
        remedy=decision.remedy,
        trail=decision.trail,
    )
    decided = dt.datetime.fromtimestamp(decision.time, dt.UTC).isoformat(timespec="seconds")
    return Explanation(
        connection={
            "cid": str(decision.connection_id),
            "kind": decision.kind,
            "tls": decision.tls,
            "from": decision.address,
            "certificate": decision.common_name,
            "serial": decision.serial,
            "fingerprint": decision.fingerprint,
            "claimed": decision.claimed,
            "decided": decided,
        },
        verdict=verdict,
        subjects=subjects.under(verdict),
        denied=_denied(config, decision) if verdict.allowed else (),
    )


def _denied(config: Path, decision: Decision) -> tuple[Noted, ...]:
    """Ask what the holder of a connection was denied; nothing when the broker does not say."""
    try:
        found = ask_status(config)
    except ControlError:
        return ()
    who = (decision.username or decision.address, decision.connection_id)
    return tuple(each for each in found.denied if each.who == who[0] or each.connection == who[1])


def _subjects(publish: tuple[str, ...], subscribe: tuple[str, ...]) -> Subjects:
    for subject in publish:
        if not is_subject(subject) or {"*", ">"}.intersection(subject.split(".")):
            raise click.UsageError(f"--publish {subject!r}: not a subject to which messages can be sent")
    for subject in subscribe:
        if not is_subscription(subject):
            raise click.UsageError(f"--subscribe {subject!r}: not a subject, or a subject, a space and a queue")
    return Subjects(publish, subscribe)


def _settings(config: Path, overrides: Overrides) -> Settings:
    loaded = load(config, overrides)
    if loaded.settings is None:
        show_findings(loaded.findings)
        raise click.UsageError(f"{config} does not describe a broker that would start, see above")
    return loaded.settings


def _explain(settings: Settings, described: Description, subjects: Subjects) -> Explanation:
    operator = settings.network.operator
    if operator:
        raise click.UsageError(
            f"operator {operator.name} decides on connections: nats-server verifies the users' tokens and this "
            "broker has no policy to explain; nsc describe user shows what a user may do"
        )
    try:
        policy = policy_from(settings)
    except PolicyError as error:
        raise click.UsageError(str(error)) from error
    request, assumptions = _request(settings, described)
    verdict = _unverified(settings, request, described) or _decided(request, policy, described)
    if described.token and described.proven and any(step.rule == "token-nonce" for step in verdict.trail):
        assumptions.append(_NO_NONCE)
    return Explanation(
        connection={
            "kind": request.kind,
            "tls": request.tls,
            "from": request.address,
            "user": request.user,
            "certificate": request.certificate.common_name if request.certificate else "",
            "serial": request.certificate.serial if request.certificate else "",
            "fingerprint": request.certificate.fingerprint if request.certificate else "",
            "token": "presented" if request.has_token else "",
        },
        verdict=verdict,
        assumptions=tuple(assumptions),
        subjects=subjects.under(verdict),
    )


def _decided(request: ConnectRequest, policy: Policy, described: Description) -> Verdict:
    return (decide_for_holder if described.proven else decide)(request, policy, time.time())


def _request(settings: Settings, described: Description) -> tuple[ConnectRequest, list[str]]:
    """Turn the description into the question the engine would ask, and say what was assumed for that."""
    assumptions = []
    address = described.address
    if not address and described.kind is not ConnectionKind.IN_PROCESS:
        address = _LOOPBACK
        assumptions.append(f"the connection comes from {_LOOPBACK}; set another address with --address")
    tls, assumption = _tls_state(settings, described)
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
        certificate=_facts(settings, described.certificate) if presented and described.certificate else None,
    )
    return request, assumptions


def _tls_state(settings: Settings, described: Description) -> tuple[TlsState, str]:
    """Find out the state of TLS, and what had to be assumed for it."""
    offered = settings.tls.everywhere if described.kind is ConnectionKind.LEAFNODE else settings.tls.enabled
    if described.certificate is None:
        if described.tls is TlsState.MTLS:
            return TlsState.MTLS, "the program presents a certificate that the broker verifies"
        if described.tls is not None:
            return described.tls, ""
        return (TlsState.ANON if offered and described.kind is not ConnectionKind.IN_PROCESS else TlsState.NONE), ""
    if described.tls not in (None, TlsState.MTLS):
        raise click.UsageError(f"--certificate and --tls {described.tls} contradict each other")
    if not offered:
        return TlsState.NONE, "this port has no TLS, so the certificate is never sent"
    if not settings.tls.verify_clients:
        return TlsState.ANON, "this broker does not ask for certificates, so the certificate is never sent"
    return TlsState.MTLS, ""


def _unverified(settings: Settings, request: ConnectRequest, described: Description) -> Verdict | None:
    """Judge the certificate as the engine does in the handshake; None when it passes or there is none."""
    ca = settings.tls.files.ca if settings.tls.files else None
    if request.tls is not TlsState.MTLS or described.certificate is None or ca is None:
        return None
    trusted = _chain(_read(ca, "the broker's CA file"), str(ca))
    refusal = client_certificate.refusal(
        _chain(described.certificate, "--certificate"), trusted, dt.datetime.now(dt.UTC)
    )
    return refused_by_handshake(refusal) if refusal else None


def _facts(settings: Settings, pem: bytes) -> Certificate:
    chain = _chain(pem, "--certificate")
    ca = settings.tls.files.ca if settings.tls.files else None
    leaf, *above = client_certificate.path(chain, _chain(_read(ca, "the broker's CA file"), str(ca)) if ca else ())
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


def _authority(last: x509.Certificate) -> Authority:
    return Authority(last.subject.rfc4514_string(), _fingerprint(last), key_of(last))


def _fingerprint(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex()


def _chain(pem: bytes, where: str) -> tuple[x509.Certificate, ...]:
    try:
        return client_certificate.load_chain(pem)
    except client_certificate.CertificateFileError as error:
        raise click.UsageError(f"{where}: {error}") from error


def _token(given: str) -> str:
    """Read a token, which is given as itself, as a file, or as ``-`` for standard input."""
    if given == "-":
        return _standard_input("--token")
    if given.startswith(_JSON_START) and given.count(".") == _TOKEN_DOTS:
        return given
    try:
        return _read(Path(given), "--token").decode()
    except UnicodeDecodeError as error:
        raise click.UsageError("--token: the file is not text") from error


def _standard_input(option: str) -> str:
    try:
        given = sys.stdin.buffer.read(_LARGEST_INPUT + 1).decode()
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{option}: standard input is not text") from error
    if len(given) > _LARGEST_INPUT:
        raise click.UsageError(f"{option}: standard input is larger than 1 MiB")
    return given


def _read(path: Path, where: str) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_INPUT + 1)
    except (OSError, ValueError) as error:
        # A token with a mistake in it may have been taken for a name: it must not be repeated.
        reason = (getattr(error, "strerror", "") or "not a file name").lower()
        raise click.UsageError(f"{where}: cannot be read: {reason}") from None
    if len(content) > _LARGEST_INPUT:
        raise click.UsageError(f"{where}: larger than 1 MiB")
    return content
