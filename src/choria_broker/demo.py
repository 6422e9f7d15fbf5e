"""A throw-away network: a CA, certificates and a configuration, made on the spot and worth nothing."""

from __future__ import annotations

import dataclasses
import datetime as dt
import errno
import ipaddress
import os
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from choria_broker.host.private_file import replace_file

BROKER = "broker.demo.example.net"
"""Identity of the demonstration broker."""

CLIENT = "demo.mcollective"
"""Name in the demonstration client's certificate."""

LIFETIME = dt.timedelta(days=30)
"""How long the certificates are valid."""

_SKEW = dt.timedelta(minutes=5)


@dataclasses.dataclass(frozen=True, slots=True)
class Demo:
    """Where the parts of a demonstration network lie.

    Attributes:
        folder: the folder of all of them.
        config: the broker's configuration.
        ca: the CA's certificate.
        client_certificate, client_key: what a client needs besides.
    """

    folder: Path
    config: Path
    ca: Path
    client_certificate: Path
    client_key: Path


def lay_out(folder: Path, *, port: int, stats_port: int) -> Demo:
    """Make a demonstration network in a folder; what an earlier call left there is made anew.

    Args:
        folder: created when missing, readable by its owner only.
        port: client port of the broker.
        stats_port: statistics port of the broker.

    Raises:
        OSError: the folder or a file could not be written.
    """
    folder = folder.absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(errno.EPERM, "it belongs to another user", str(folder))
    now = dt.datetime.now(dt.UTC)
    authority = _Authority(now)
    demo = Demo(
        folder=folder,
        config=folder / "broker.conf",
        ca=folder / "ca.pem",
        client_certificate=folder / "client.pem",
        client_key=folder / "client.key",
    )
    replace_file(demo.ca, authority.pem)
    for name, stem in ((BROKER, "broker"), (CLIENT, "client")):
        certificate, key = authority.issue(name)
        replace_file(folder / f"{stem}.pem", certificate)
        replace_file(folder / f"{stem}.key", key)
    replace_file(demo.config, _configuration(demo, port, stats_port))
    return demo


def _configuration(demo: Demo, port: int, stats_port: int) -> str:
    return f"""\
# A demonstration broker. The CA and the certificates are throw-away; do not use them for anything else.
identity = {BROKER}
plugin.choria.broker_network = true
plugin.choria.use_srv = false
plugin.choria.stats_port = {stats_port}
plugin.choria.network.listen_address = 127.0.0.1
plugin.choria.network.client_port = {port}
plugin.choria.network.public_url = 127.0.0.1:{port}
plugin.security.provider = file
plugin.security.file.certificate = {demo.folder / "broker.pem"}
plugin.security.file.key = {demo.folder / "broker.key"}
plugin.security.file.ca = {demo.ca}
"""


class _Authority:
    """A CA that lives only as long as this object."""

    def __init__(self, now: dt.datetime) -> None:
        self._now = now
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _subject("Choria demonstration CA")
        certificate = (
            self._builder(self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.pem = certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, name: str) -> tuple[bytes, bytes]:
        """Make a certificate and its key, both PEM; it is good for this host's loopback addresses too."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [
            x509.DNSName(name),
            x509.DNSName("localhost"),
            x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
            x509.IPAddress(ipaddress.ip_address("::1")),
        ]
        certificate = (
            self._builder(_subject(name), key.public_key())
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return certificate.public_bytes(serialization.Encoding.PEM), private

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - _SKEW)
            .not_valid_after(self._now + LIFETIME)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    """What the key is for; strict programs, as Python is from 3.13 on, refuse a CA that does not say it."""
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
