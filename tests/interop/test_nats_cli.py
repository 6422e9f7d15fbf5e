"""The real nats command line on the broker."""

from __future__ import annotations

import asyncio
from pathlib import Path

from choria_broker.broker import NetworkBroker
from support.fleet import run
from support.testbed import Authority, client, configuration, settled

DEADLINE = 60.0


async def test_it_publishes_over_mtls(tmp_path: Path, authority: Authority, nats_cli: Path) -> None:
    bob = authority.issue("bob.mcollective")
    async with (
        asyncio.timeout(DEADLINE),
        NetworkBroker.from_file(configuration(tmp_path, authority)) as broker,
        client(broker, authority.context(bob)) as subscriber,
    ):
        subscription = await subscriber.subscribe("demo.greeting")
        await settled(subscriber)
        outcome = await run(
            nats_cli,
            "--server",
            f"tls://127.0.0.1:{broker.ports.client}",
            "--tlsca",
            authority.ca,
            "--tlscert",
            bob.certificate,
            "--tlskey",
            bob.key,
            "pub",
            "demo.greeting",
            "hello",
        )
        assert outcome.status == 0, outcome.output
        assert (await subscription.next_msg(timeout=10)).data == b"hello"


async def test_without_a_certificate_it_is_refused(tmp_path: Path, authority: Authority, nats_cli: Path) -> None:
    async with asyncio.timeout(DEADLINE), NetworkBroker.from_file(configuration(tmp_path, authority)) as broker:
        server = f"tls://127.0.0.1:{broker.ports.client}"
        outcome = await run(nats_cli, "--server", server, "--tlsca", authority.ca, "pub", "demo.greeting", "hello")
        assert outcome.status != 0
        assert "Authorization Violation" in outcome.output
