"""Who comes again is let in by the engine alone: with the same rights, recorded all the same, and not for too long."""

from __future__ import annotations

import logging
import ssl
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from choria_broker.access import ways
from choria_broker.broker import NetworkBroker
from support.minting import HOLDER, ORGANIZATION, STRANGER, client, hex_of, ksuid, mint, proof
from support.nats_socket import ClosedError, wire
from support.settled import recent
from support.testbed import Authority, configuration

ISSUER: dict[str, Any] = {
    "plugin__security__issuer__names": "choria",
    "plugin__security__issuer__choria__public": hex_of(ORGANIZATION),
}


@pytest.fixture(autouse=True)
def _with_a_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests are about it, also in a run of the suite that goes without."""
    monkeypatch.setattr(ways, "STANDARD", ways.Ways())


def token(**claims: Any) -> str:
    made = int(time.time()) - 60
    return mint(client(**{"iat": made, "nbf": made, "exp": made + 3600, "jti": ksuid(made), **claims}), ORGANIZATION)


async def come(broker: NetworkBroker, context: ssl.SSLContext, text: str = "", key: Any = HOLDER) -> bool:
    """Connect once, tell whether that was let in, and leave."""
    async with wire(broker.ports.client, context) as peer:
        try:
            await peer.connect(**({"auth_token": text, "sig": proof(key, peer.nonce)} if text else {}))
        except ClosedError:
            return False
        return True


def asked(broker: NetworkBroker) -> int:
    """How many questions the engine has put."""
    return broker._engine.counters.answered


def kept(decision: Any) -> dict[str, Any]:
    """What is to be the same of both decisions."""
    own = ("time", "connection_id", "seconds")
    return {name: value for name, value in msgspec.structs.asdict(decision).items() if name not in own}


async def test_a_token_that_comes_again_is_not_asked_about(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="choria_broker")
    context, text = authority.context(), token(permissions={"fleet_management": True})
    async with NetworkBroker.from_file(configuration(tmp_path, authority, **ISSUER)) as broker:
        assert await come(broker, context, text)
        (first,) = await recent(broker)
        before = asked(broker)
        assert await come(broker, context, text)
        assert asked(broker) == before
        _, second = await recent(broker)
        assert kept(second) == kept(first)
        assert second.connection_id != first.connection_id
        labels = {"identity": "broker.example.net", "result": "accepted", "rule": "client-token"}
        assert broker.registry.get_sample_value("choria_broker_decisions_total", labels) == 2

        # Who has the token and not its key is asked about, and refused.
        assert not await come(broker, context, text, STRANGER)
        assert (await recent(broker))[-1].rule == "token-nonce"
    lines = [record.__dict__ for record in caplog.records if record.getMessage() == "Connection accepted"]
    assert [line["cid"] for line in lines] == [first.connection_id, second.connection_id]


@pytest.mark.parametrize("end", [1_999_999_999_000, 2**63, 1e300])
async def test_the_end_of_a_token_may_lie_beyond_every_calendar(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture, end: float
) -> None:
    """Some programs write milliseconds. Such a token once ended the broker."""
    caplog.set_level(logging.INFO, logger="choria_broker")
    context, text = authority.context(), token(exp=end)
    settings = {**ISSUER, "network__enforce_expiry": True}
    async with NetworkBroker.from_file(configuration(tmp_path, authority, **settings)) as broker:
        for _ in range(2):
            assert await come(broker, context, text)
        async with wire(broker.ports.client, context) as peer:
            await peer.connect(auth_token=text, sig=proof(HOLDER, peer.nonce))
            (session,) = await broker._engine.sessions()
            assert session.holder.expires == 253_402_300_799
        await recent(broker)
    ends = [record.__dict__["expires"] for record in caplog.records if record.getMessage() == "Connection accepted"]
    assert ends == ["9999-12-31T23:59:59+00:00"] * 3


async def test_whoever_is_revoked_is_refused_from_the_next_connection_on(tmp_path: Path, authority: Authority) -> None:
    context, text, file = authority.context(), token(), tmp_path / "revoked"
    path = configuration(tmp_path, authority, **ISSUER, network__revocations=file)
    async with NetworkBroker.from_file(path) as broker:
        for _ in range(2):
            assert await come(broker, context, text)
        before = asked(broker)
        assert await come(broker, context, text)
        assert asked(broker) == before
        file.write_text("caller up=alice\n")
        await broker.reload()
        assert not await come(broker, context, text)
        assert (await recent(broker))[-1].rule == "revoked-caller"
        file.write_text("")
        await broker.reload()
        for _ in range(2):
            assert await come(broker, context, text)


async def test_certificates_are_let_in_as_a_class_each_under_its_own_name(tmp_path: Path, authority: Authority) -> None:
    contexts = [authority.context(authority.issue(f"{name}.example.net")) for name in ("one", "two", "three")]
    async with NetworkBroker.from_file(configuration(tmp_path, authority)) as broker:
        async with wire(broker.ports.client, contexts[0]) as one, wire(broker.ports.client, contexts[1]) as two:
            await one.connect()
            before = asked(broker)
            await two.connect()
            assert asked(broker) == before
            holders = [each.holder for each in await broker._engine.sessions()]
            assert [each.identity for each in holders] == ["one.example.net", "two.example.net"]
            assert holders[0].certificate != holders[1].certificate
            first, second = await recent(broker)
            assert holders[1].certificate is not None
            assert (second.common_name, second.serial) == (holders[1].identity, holders[1].certificate.serial)
            assert second.expires == holders[1].certificate.not_after
            same = {"common_name", "serial", "fingerprint", "expires"}
            for name, value in kept(first).items():
                assert name in same or kept(second)[name] == value, name
        # Without the memory the third would be told as the second was.
        await broker.reload()
        async with wire(broker.ports.client, contexts[1]) as two:
            await two.connect()
            (holder,) = [each.holder for each in await broker._engine.sessions()]
            assert holder == holders[1]
