"""From settings to policy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from choria_broker.access.build import PolicyError, policy_from
from choria_broker.access.trust import Signer, Unusable
from choria_broker.security.signer_files import signer_file_names
from choria_broker.settings.broker import Settings
from choria_broker.settings.security import Issuer, Security
from choria_broker.values import replace
from support.minting import HOLDER, ORGANIZATION, hex_of
from support.vector_cases import VECTORS, settings_of

HEX = hex_of(HOLDER)
BROKER: dict[str, Any] = {
    "tls": True,
    "client_signer_cert": [HEX, "file:keys/rsa_cert.pem", "/missing"],
    "server_signer_cert": ["file:keys/rsa_cert.pem", HEX.upper(), "/broken"],
    "provisioning_signer_cert": "file:keys/rsa_public.pem",
    "provisioning_client_password": "secret",
    "provisioner_without_token": True,
    "system_user": "system",
    "system_password": "secret",
}
CERTIFICATE = str(VECTORS / "keys" / "rsa_cert.pem")
PUBLIC = str(VECTORS / "keys" / "rsa_public.pem")
FILES: dict[str, bytes | None] = {
    CERTIFICATE: Path(CERTIFICATE).read_bytes(),
    PUBLIC: Path(PUBLIC).read_bytes(),
    "/missing": None,
    "/broken": b"nonsense",
}


def with_files(settings: Settings) -> Settings:
    return replace(settings, signer_files=FILES)


def test_files_to_read() -> None:
    assert signer_file_names(settings_of(BROKER)) == (CERTIFICATE, "/missing", "/broken", PUBLIC)


def test_without_tls_nobody_is_trusted() -> None:
    settings = with_files(settings_of(BROKER | {"tls": False}))
    policy = policy_from(settings)

    assert signer_file_names(settings) == ()
    assert not policy.is_tls
    assert (policy.client_signers, policy.server_signers, policy.provisioning_signer) == ((), (), None)
    assert policy.provisioner_password is None
    assert not policy.provisioner_without_token
    assert policy.system_user is not None
    assert "provisioning" in policy.accounts, "the account exists as soon as there is a password"


def test_bad_entries_keep_their_reason_and_their_place() -> None:
    policy = policy_from(with_files(settings_of(BROKER)))

    assert [type(entry) for entry in policy.client_signers] == [Signer, Signer, Unusable]
    assert [type(entry) for entry in policy.server_signers] == [Signer, Signer, Unusable]
    missing, broken = policy.client_signers[2], policy.server_signers[2]
    assert isinstance(missing, Unusable)
    assert isinstance(broken, Unusable)
    assert (missing.label, missing.reason) == ("/missing", "the file could not be read")
    assert "64 hex digits" in broken.reason
    assert isinstance(policy.provisioning_signer, Signer)


def test_a_file_nobody_read_is_unusable() -> None:
    policy = policy_from(settings_of(BROKER))

    assert isinstance(policy.provisioning_signer, Unusable)


@pytest.mark.parametrize(
    ("broker", "accounts"),
    [
        ({"tls": True}, {"system", "choria"}),
        ({"tls": True, "provisioning_client_password": "x"}, {"system", "choria", "provisioning"}),
    ],
)
def test_accounts(broker: dict[str, Any], accounts: set[str]) -> None:
    assert policy_from(settings_of(broker)).accounts == accounts


def with_issuer(issuer: Issuer, *accounts: str) -> Settings:
    settings = settings_of({"tls": True})
    network = replace(settings.network, accounts=accounts)
    return replace(settings, network=network, security=Security(issuers=(issuer,)))


def test_accounts_of_organizations_and_further_ones() -> None:
    policy = policy_from(with_issuer(Issuer(name="acme", public_key=hex_of(ORGANIZATION), account="ACME"), "EDGE"))

    assert policy.accounts == {"system", "choria", "ACME", "EDGE"}
    assert policy.issuers["acme"].account == "ACME"


@pytest.mark.parametrize("key", ["", "00", "x" * 64, HEX + "\n"])
def test_malformed_key_of_an_issuer(key: str) -> None:
    with pytest.raises(PolicyError, match=r"plugin\.security\.issuer\.acme\.public"):
        policy_from(with_issuer(Issuer(name="acme", public_key=key)))
