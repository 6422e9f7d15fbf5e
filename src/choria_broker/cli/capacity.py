"""``choria-broker capacity``: how many logins a second this machine takes with its certificate."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from choria_broker.capacity.estimate import Capacity, estimate
from choria_broker.capacity.trial import TrialError, trial
from choria_broker.cli.answers import fail, show
from choria_broker.cli.options import as_json, configuration
from choria_broker.cli.progress import progress
from choria_broker.config.load import load
from choria_broker.config.surroundings.facts import Overrides
from choria_broker.security.tls_files import load as load_certificates
from choria_broker.settings.findings import blocking

_SOUND = 100
"""Logins below which a measurement is rough."""


@click.command()
@configuration
@click.option(
    "--nodes",
    type=click.IntRange(1),
    default=1000,
    show_default=True,
    help="Number of nodes that reconnect at the same time.",
)
@as_json
def capacity(*, config: Path | None, overrides: Overrides, nodes: int, as_json: bool) -> None:
    """Measure how many logins a second this machine can handle with the certificate of a configuration.

    For two seconds a second broker on loopback accepts test clients. The real broker may keep running.

    Exit status 0: measured. 1: the configuration cannot be used, or nothing could be measured.
    """
    if config is None:
        fail("configuration file required")
    loaded = load(config, overrides)
    if loaded.settings is None:
        refused = "; ".join(map(str, blocking(loaded.findings)))
        fail(f"a broker would not start with this configuration: {refused}")
    try:
        with progress("Measuring logins"):
            sample = trial(loaded.settings)
    except TrialError as error:
        fail(str(error))
    files = loaded.settings.tls.files
    certificate = files.certificate if files else Path()
    found = estimate(sample, str(certificate), _key(certificate), nodes)
    show(found, _text(found), as_json=as_json)


def _key(certificate: Path) -> str:
    chain = load_certificates(certificate.read_bytes())
    public = chain[0].public_key() if chain else None
    if isinstance(public, rsa.RSAPublicKey):
        return f"RSA, {public.key_size} bits"
    return f"ECDSA, {public.curve.name}" if isinstance(public, ec.EllipticCurvePublicKey) else "Ed25519"


def _text(found: Capacity) -> Iterator[str]:
    yield f"Certificate: {found.certificate} ({found.key})"
    yield f"A login needs {found.cpu_ms} ms of CPU, {found.python_ms} ms of it in the broker's Python process"
    what = f"its {found.cores} cores" if found.bound == "cores" else "the broker's Python process, which uses one core"
    yield f"Logins a second: {found.per_second:.0f}, limited by {what}"
    yield f"Time until {found.nodes} nodes have reconnected after a restart: {found.seconds} s"
    if found.logins < _SOUND:
        yield f"Only {found.logins} logins were measured, so the result is rough: measure again on an idle machine"
