"""Resolves configuration texts in a made-up world where every named file exists, unless a test says otherwise."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import re
from collections.abc import Mapping
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from choria_broker.config.needs import known_domain, named_files
from choria_broker.config.resolve.providers import chosen_files
from choria_broker.config.resolve.whole import resolve
from choria_broker.config.surroundings.facts import Facts, Overrides
from choria_broker.config.text.collector import Collector
from choria_broker.config.text.reading import Values, read
from choria_broker.config.text.syntax import Document, parse
from choria_broker.host.facts import FileFact
from choria_broker.settings.broker import Settings
from choria_broker.settings.finding_codes import Severity
from choria_broker.settings.findings import Finding
from choria_broker.settings.served import Served
from choria_broker.values import replace
from support.nats_server import Operator

NOW = dt.datetime.now(dt.UTC)
IDENTITY = "broker1.example.net"
SOURCE = Path("/etc/choria/broker.conf")

BASE = f"""
identity = {IDENTITY}
plugin.choria.broker_network = true
plugin.security.provider = file
plugin.security.file.certificate = /tls/cert.pem
plugin.security.file.key = /tls/key.pem
plugin.security.file.ca = /tls/ca.pem
"""
"""The smallest configuration that needs nothing from its surroundings."""

NET = "plugin.choria.network."
CREDENTIALS = Operator("OPS").user("OPS").text().encode()


@dataclasses.dataclass(frozen=True)
class Pems:
    certificate: bytes
    key: bytes
    ca: bytes
    public: bytes


@functools.cache
def pems(identity: str = IDENTITY) -> Pems:
    """Issue one certificate from a CA of its own, and make the public key of a signer."""
    authority = trustme.CA()
    issued = authority.issue_cert(identity)
    public = Ed25519PrivateKey.generate().public_key()
    return Pems(
        b"".join(blob.bytes() for blob in issued.cert_chain_pems),
        issued.private_key_pem.bytes(),
        authority.cert_pem.bytes(),
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    )


@dataclasses.dataclass(frozen=True)
class Result:
    settings: Settings | None
    findings: tuple[Finding, ...]
    values: Values
    facts: Facts

    def __post_init__(self) -> None:
        """Hold each finding against the row of its code."""
        for finding in self.findings:
            softened = finding.severity in {Severity.WARN, Severity.SKIP} and Severity.REFUSE in finding.code.severities
            assert finding.severity in finding.code.severities or softened, str(finding)
            assert finding.lenient <= bool(finding.code.lenient), str(finding)
            assert finding.problem, finding.code
            assert finding.effect, finding.code
            assert finding.remedy, finding.code

    @property
    def ok(self) -> Settings:
        """The settings of a configuration that must be good."""
        refused = [str(finding) for finding in self.findings if finding.severity is Severity.REFUSE]
        assert self.settings is not None, refused
        return self.settings

    def reloaded(self, **facts: object) -> Result:
        """Resolve the same text for a broker that serves what came of it, with other facts."""
        collector = Collector()
        changed = replace(self.facts, **facts)  # type: ignore[arg-type] # fields by name
        settings = resolve(self.values, changed, Overrides(), collector, Served.of(self.ok))
        return Result(settings, collector.findings(), self.values, changed)

    def codes(self, severity: Severity | None = None) -> list[str]:
        return [finding.code for finding in self.findings if severity is None or finding.severity is severity]

    def one(self, code: str) -> Finding:
        """The only finding with the code."""
        found = [finding for finding in self.findings if finding.code == code]
        assert len(found) == 1, [str(finding) for finding in self.findings]
        return found[0]


def content_for(path: Path, identity: str) -> FileFact:
    """Make up the content of a file after its name."""
    plain = re.fullmatch(r"[a-z0-9]+(\.[a-z0-9]+)*", identity)
    made, name = pems(identity if plain else IDENTITY), str(path)
    if "key" in name:
        return FileFact(made.key)
    if "creds" in name or "credential" in name:
        return FileFact(CREDENTIALS)
    if "signer" in name:
        return FileFact(made.public)
    if path.stem in {"crl", "revoked"}:
        return FileFact(problem="no such file or directory", missing=True)
    if path.stem.endswith("ca"):
        return FileFact(made.ca)
    return FileFact(made.certificate)


def read_findings(document: Document) -> tuple[Finding, ...]:
    """Read lines, and return what is said about them before anything is resolved."""
    collector = Collector()
    read(document, {}, "", collector)
    return collector.findings()


def scenario(
    text: str | bytes,
    *,
    facts: Mapping[str, object] | None = None,
    overrides: Overrides | None = None,
    environ: Mapping[str, str] | None = None,
    files: Mapping[str, FileFact] | None = None,
) -> Result:
    """Read and resolve a text."""
    overrides = overrides or Overrides()
    collector = Collector(lenient=overrides.lenient)
    environ = {"HOME": "/root"} if environ is None else environ
    values = read(
        parse(text.encode() if isinstance(text, str) else text, "broker.conf"),
        environ,
        environ.get("HOME", ""),
        collector,
    )
    identity = values.text("identity") or IDENTITY
    known = Facts(SOURCE, NOW, identity=IDENTITY, domain=known_domain(values, identity))
    known = replace(known, **(facts or {}))  # type: ignore[arg-type] # fields by name
    wanted = named_files(values, chosen_files(values, known.ssldir, identity, known.certname).files, known.ssldir)
    content = {path: content_for(path, identity) for group in wanted for path in group.files}
    content |= {Path(path): fact for path, fact in (files or {}).items()}
    known = replace(known, files=content, groups=wanted)
    settings = resolve(values, known, overrides, collector)
    return Result(settings, collector.findings(), values, known)


def base(*lines: str, **more: object) -> Result:
    """Resolve the smallest configuration and further lines."""
    return scenario(BASE + "\n".join(lines), **more)  # type: ignore[arg-type] # arguments of scenario by name


def net(*lines: str, **more: object) -> Result:
    """Resolve the smallest configuration and further keys of the network broker, without their prefix."""
    return base(*(NET + line for line in lines), **more)
