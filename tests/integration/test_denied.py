"""Who is denied a subject, or too slow, is told of by name, with what would help; real clients, a real engine."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from choria_broker.broker import NetworkBroker
from support.command import run
from support.minting import HOLDER, ORGANIZATION, hex_of, mint, proof
from support.minting import client as client_claims
from support.minting import provisioning as provisioning_claims
from support.nats_socket import ClosedError, Wire, wire
from support.settled import recent
from support.testbed import Authority, client, configuration
from support.topology import logged

ISSUER = {"plugin__security__issuer__names": "choria", "plugin__security__issuer__choria__public": hex_of(ORGANIZATION)}


def token(claims: dict[str, Any]) -> str:
    now = int(time.time())
    return mint({**claims, "nbf": None, "jti": None, "iat": now - 60, "exp": now + 3600})


def bob(**permissions: bool) -> str:
    return token(client_claims(callerid="up=bob", permissions=permissions))


@contextlib.asynccontextmanager
async def running(folder: Path, authority: Authority, **settings: Any) -> AsyncIterator[NetworkBroker]:
    async with NetworkBroker.from_file(configuration(folder, authority, **ISSUER, **settings)) as broker:
        yield broker


@contextlib.asynccontextmanager
async def speaking(broker: NetworkBroker, context: ssl.SSLContext, held: str) -> AsyncIterator[Wire]:
    async with wire(broker.ports.client, context) as peer:
        await peer.connect(auth_token=held, sig=proof(HOLDER, peer.nonce), name="laptop")
        yield peer


def fields(caplog: pytest.LogCaptureFixture, message: str) -> list[dict[str, Any]]:
    return [each.__dict__ for each in caplog.records if each.getMessage() == message]


async def test_a_denied_subject_says_who_what_is_lacking_and_how_often(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    config = tmp_path / "broker.conf"
    async with running(tmp_path, authority) as broker:
        async with speaking(broker, authority.context(), bob(streams_user=True)) as peer:
            subjects = [f"mcollective.node.web{number}" for number in (1, 2, 3)]
            assert await peer.publish(subjects, "") == set(subjects)
            await logged(caplog, "May not publish to a subject")
            first, *_ = fields(caplog, "May not publish to a subject")
            assert (first["identity"], first["subject"]) == ("up=bob", "mcollective.node.web1")
            assert (first["needs"], first["times"]) == ("fleet_management", 1)
            while len(fields(caplog, "May not publish to a subject")) < 3:
                await asyncio.sleep(0.01)
            status = (await run("status", "--config", config)).stdout
            assert "may not publish to mcollective.node.web3 (needs fleet_management): 3 times" in status
            cid = (await recent(broker))[-1].connection_id
            ask = ("explain", "--config", config, "--connection", str(cid), "--publish", "mcollective.node.web1")
            explained = await run(*ask)
            assert explained.exit_code == 1
            assert "no: may not publish to mcollective.node.web1: not in the allow list; needs fleet_management" in (
                explained.stdout
            )
            assert "Denied 3 times: may not publish to mcollective.node.web3 (needs fleet_management)" in (
                explained.stdout
            )
            assert "claimed name 'laptop', language 'test', version '1'" in explained.stdout
            document = json.loads((await run(*ask, "--json")).stdout)
            assert document["subjects"][0]["needs"] == "fleet_management"
            assert document["denied"][0]["times"] == 3
        assert broker.audit.counts.denied["publish"] == 3


async def test_a_slow_consumer_is_a_warning_with_subject_and_bytes(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    settings = {"network__write_deadline": "1s"}
    async with running(tmp_path, authority, **settings) as broker, contextlib.AsyncExitStack() as stack:
        late = await stack.enter_async_context(speaking(broker, authority.context(), bob(org_admin=True)))
        assert not await late.subscribe(["wanted.a.lot"])
        login: dict[str, Any] = {
            "token": bob(org_admin=True),
            "signature_cb": lambda nonce: proof(HOLDER, nonce).encode(),
        }
        many = await stack.enter_async_context(client(broker, authority.context(), **login))
        for _ in range(100):
            await many.publish("wanted.a.lot", bytes(1024 * 512))
        await many.flush()
        await logged(caplog, "Slow consumer")
        late.drop()
        (found, *_) = fields(caplog, "Slow consumer")
        assert (found["identity"], found["subject"]) == ("up=bob", "wanted.a.lot")
        assert found["pending_bytes"] > 0
        status = (await run("status", "--config", tmp_path / "broker.conf")).stdout
        assert "up=bob, cid " in status
        assert "slow consumer, " in status
        assert "most of them for wanted.a.lot" in status


async def test_a_refusal_says_what_the_program_claims_to_be(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(tmp_path, authority) as broker:
        async with wire(broker.ports.client, authority.context()) as peer:
            with pytest.raises(ClosedError):
                await peer.connect(name='web1 "x"\n', lang="go", version="1.40.0")
        (found,) = fields(caplog, "Connection refused")
    assert found["claimed"] == r"""name 'web1 "x"\n', language 'go', version '1.40.0'"""


async def test_a_waiting_node_says_what_it_claims_to_be(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(tmp_path, authority, network__provisioning__client_password="s3cret") as broker:
        async with wire(broker.ports.client, authority.context()) as peer:
            await peer.connect(auth_token=token(provisioning_claims()), name="web7.example.net")
        decision = (await recent(broker))[-1]
        assert decision.rule == "provisionee"
        assert "it claims to be 'web7.example.net'" in decision.reason
    assert "web7.example.net" in str(fields(caplog, "Connection accepted")[-1]["claimed"])


async def test_a_new_reason_of_a_noisy_address_has_its_own_line(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(tmp_path, authority) as broker:
        for number in range(8):
            async with wire(broker.ports.client, authority.context()) as peer:
                held = {"auth_token": "x"} if number == 7 else {}
                with pytest.raises(ClosedError):
                    await peer.connect(**held)
        told = [each["rule"] for each in fields(caplog, "Connection refused")]
    assert told == ["certificate-required"] * 5 + ["token-malformed"]
    assert fields(caplog, "Connection refused")[-1]["remedy"]
