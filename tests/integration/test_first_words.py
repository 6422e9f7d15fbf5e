"""The first line that an operator sees of a trouble sends him the right way."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from choria_broker.broker import NetworkBroker
from support.minting import HOLDER, ORGANIZATION, STRANGER, hex_of, mint, proof
from support.minting import client as client_claims
from support.nats_socket import ClosedError, wire
from support.settled import recent
from support.testbed import Authority, configuration
from support.topology import broker, logged, nodes, peers

ISSUER = {"plugin__security__issuer__names": "choria", "plugin__security__issuer__choria__public": hex_of(ORGANIZATION)}
NEXT = 5.0
"""Seconds until a certificate ends."""


def token(key: Any = ORGANIZATION) -> str:
    now = int(time.time())
    claims = client_claims(permissions={"fleet_management": True}, nbf=None, jti=None)
    return mint({**claims, "iat": now - 60, "exp": now + 3600}, key)


@pytest.fixture
async def issued(tmp_path: Path, authority: Authority) -> AsyncIterator[NetworkBroker]:
    """Run a broker of a network with an issuer, and without provisioning."""
    async with NetworkBroker.from_file(configuration(tmp_path, authority, **ISSUER)) as running:
        yield running


async def refused(running: NetworkBroker, authority: Authority, **fields: Any) -> dict[str, Any]:
    """Be refused with fields of CONNECT; return what the log's line says."""
    async with wire(running.ports.client, authority.context()) as peer:
        sent = {name: value(peer.nonce) if callable(value) else value for name, value in fields.items()}
        with pytest.raises(ClosedError):
            await peer.connect(**sent)
    decision = (await recent(running))[-1]
    assert not decision.allowed
    return {"rule": decision.rule, "reason": decision.reason, "remedy": decision.remedy}


async def test_a_padded_nonce_signature_is_no_matter_of_the_seed(issued: NetworkBroker, authority: Authority) -> None:
    found = await refused(issued, authority, auth_token=token(), sig=lambda nonce: proof(HOLDER, nonce) + "==")
    assert found["rule"] == "token-nonce"
    assert "is not base64url without padding" in found["reason"]
    assert "without = at the end" in found["remedy"]
    assert "seed" not in found["remedy"]
    found = await refused(issued, authority, auth_token=token(), sig=lambda nonce: proof(STRANGER, nonce))
    assert "seed file" in found["remedy"]


async def test_a_token_of_another_key_names_the_key_that_is_trusted_and_its_setting(
    issued: NetworkBroker, authority: Authority
) -> None:
    found = await refused(issued, authority, auth_token=token(STRANGER), sig=lambda nonce: proof(HOLDER, nonce))
    assert found["rule"] == "token-signature"
    assert hex_of(ORGANIZATION)[:32] in found["reason"]
    assert "plugin.security.issuer.choria.public" in found["reason"]


async def test_trusted_signers_are_named_by_their_files(tmp_path: Path, authority: Authority) -> None:
    signer = authority.issue("signer", rsa=True).certificate
    path = configuration(tmp_path, authority, network__client_signer_cert=f"{signer}, {hex_of(ORGANIZATION)}")
    async with NetworkBroker.from_file(path) as running:
        found = await refused(running, authority, auth_token=token(STRANGER), sig=lambda nonce: proof(HOLDER, nonce))
    assert "(trusted keys: RSA SHA-256 " in found["reason"]
    assert f" of {signer}, ed25519 {hex_of(ORGANIZATION)[:32]} of " in found["reason"]


async def test_nothing_is_said_of_provisioning_where_there_is_none(issued: NetworkBroker, authority: Authority) -> None:
    assert "provisioning" not in (await refused(issued, authority))["reason"]


async def test_who_runs_with_provisioning_is_told_of_it(tmp_path: Path, authority: Authority) -> None:
    path = configuration(tmp_path, authority, **ISSUER, network__provisioning__client_password="s3cret")
    async with NetworkBroker.from_file(path) as running:
        assert "As a node waiting for provisioning" in (await refused(running, authority))["reason"]


@pytest.mark.slow
async def test_peers_that_refuse_an_expired_certificate_are_told_in_words_of_our_own(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = nodes(2)
    old = broker(tmp_path, authority, one, **peers(one, two))
    end = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=NEXT)
    short = authority.issue(one.identity, *one.names, until=end)
    assert old.settings.tls.files
    assert old.settings.tls.files.certificate == short.certificate
    async with NetworkBroker.from_file(tmp_path / one.identity / "broker.conf"):
        await asyncio.sleep(max(0.0, end.timestamp() - time.time()) + 1.0)  # It is the passing of time that is tested.
        async with broker(tmp_path, authority, two, **peers(one, two)):
            await logged(caplog, "Others refuse this broker because its certificate has expired")
    said = [each for each in caplog.records if each.getMessage().startswith("Others refuse")]
    assert said[0].levelno == logging.ERROR
