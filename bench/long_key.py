"""CPU of the servers for each new connection where the key is RSA with 4096 bits, as Puppet makes them."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from bench.load import Login, connections, fresh_logins
from bench.results import LeftOut, Line, Pairs, in_turns
from bench.servers import GO_CHORIA, Server, Site
from bench.workbench import Workbench

_BITS = 4096
_AIM = "0.40 with AVX-512 IFMA, 0.8 without"
_LOAD = f"with an RSA-{_BITS} key, tokens seen before, 8 at a time"


def measure(bench: Workbench) -> list[Line]:
    """Measure the broker and its key processes against go-choria, with both key exchanges."""
    measured = f"CPU of the server per connection {_LOAD}"
    if not bench.choria:
        return [LeftOut(measured, "no choria program: set CHORIA_BIN")]
    count = bench.scale.connections
    logins = fresh_logins(count)
    lines: list[Line] = []
    with long_key(bench.site), bench.site.broker() as broker, bench.site.go_choria(bench.choria) as choria:
        for post_quantum in (False, True):
            # What is seen for the first time costs more, and is not what is measured here.
            for server in (broker, choria):
                with connections(bench.connector, bench.site, server, count, logins=logins):
                    pass
            samples = functools.partial(_cpu, bench, logins=logins, post_quantum=post_quantum)
            ours, theirs = in_turns(bench.scale.turns, *(functools.partial(samples, each) for each in (broker, choria)))
            more = ", post-quantum key exchange" if post_quantum else ""
            lines.append(Pairs(ours, theirs).row(f"{measured}{more}", GO_CHORIA, _written, "" if more else _AIM))
    return lines


def _cpu(bench: Workbench, server: Server, *, logins: list[Login], post_quantum: bool) -> float:
    before = sum(server.cpu())
    count = len(logins)
    with connections(bench.connector, bench.site, server, count, logins=logins, post_quantum=post_quantum):
        return (sum(server.cpu()) - before) / count


@contextlib.contextmanager
def long_key(site: Site) -> Iterator[None]:
    """Have the servers use a certificate with such a key as long as the context lasts."""
    own = site.own
    kept = own.certificate.read_bytes(), own.key.read_bytes()
    private = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
    model = x509.load_pem_x509_certificate(kept[0])
    authority = load_pem_private_key(site.authority.key_pem, None)
    builder = x509.CertificateBuilder(
        model.issuer,
        model.subject,
        private.public_key(),
        model.serial_number + 1,
        model.not_valid_before_utc,
        model.not_valid_after_utc,
        list(model.extensions),
    )
    made = builder.sign(authority, SHA256())  # type: ignore[arg-type] # a key that signs
    own.certificate.write_bytes(made.public_bytes(Encoding.PEM))
    own.key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    try:
        yield
    finally:
        own.certificate.write_bytes(kept[0])
        own.key.write_bytes(kept[1])


def _written(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"
