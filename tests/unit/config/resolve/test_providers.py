"""Which files each security provider stands for."""

from __future__ import annotations

from pathlib import Path

import pytest

from choria_broker.config.resolve.providers import ProviderInput, provider_files
from choria_broker.settings.security import Provider
from choria_broker.settings.tls import TlsFiles

CERT, KEY, CA = Path("/cert"), Path("/key"), Path("/ca")


@pytest.mark.parametrize(
    ("given", "files"),
    [
        (
            ProviderInput(Provider.PUPPET, "a.example", Path("/ssl")),
            TlsFiles(
                certificate=Path("/ssl/certs/a.example.pem"),
                key=Path("/ssl/private_keys/a.example.pem"),
                ca=Path("/ssl/certs/ca.pem"),
            ),
        ),
        (
            ProviderInput(Provider.CERTMANAGER, "a", Path("/ssl")),
            TlsFiles(certificate=Path("/ssl/cert.pem"), key=Path("/ssl/key.pem"), ca=Path("/ssl/ca.pem")),
        ),
        (ProviderInput(Provider.FILE, "a", None, CERT, KEY, CA), TlsFiles(certificate=CERT, key=KEY, ca=CA)),
        (ProviderInput(Provider.CHORIA, "a", None, CERT, KEY, CA), TlsFiles(certificate=CERT, key=KEY, ca=CA)),
        (ProviderInput(Provider.CHORIA, "a", None, CERT, KEY), TlsFiles(certificate=CERT, key=KEY, ca=None)),
    ],
)
def test_files(given: ProviderInput, files: TlsFiles) -> None:
    found = provider_files(given)
    assert found.files == files
    assert found.problems == ()
    assert given.provider.value in found.rule


@pytest.mark.parametrize(
    ("given", "keys"),
    [
        (ProviderInput(Provider.PUPPET, "a"), ["plugin.choria.ssldir"]),
        (ProviderInput(Provider.CERTMANAGER, "a"), ["plugin.choria.ssldir"]),
        (
            ProviderInput(Provider.FILE, "a"),
            ["plugin.security.file.certificate", "plugin.security.file.key", "plugin.security.file.ca"],
        ),
        (ProviderInput(Provider.FILE, "a", None, CERT, KEY), ["plugin.security.file.ca"]),
        (
            ProviderInput(Provider.CHORIA, "a"),
            ["plugin.security.choria.certificate", "plugin.security.choria.key"],
        ),
        (ProviderInput(Provider.CHORIA, "a", None, None, KEY, CA), ["plugin.security.choria.certificate"]),
        (ProviderInput(Provider.PKCS11, "a", Path("/ssl"), CERT, KEY, CA), ["plugin.security.provider"]),
    ],
)
def test_no_files(given: ProviderInput, keys: list[str]) -> None:
    found = provider_files(given)
    assert found.files is None
    assert [problem.key for problem in found.problems] == keys
    assert all((problem.remedy or problem.code.remedy) for problem in found.problems)
