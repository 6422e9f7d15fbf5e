"""More clients at once than are worked on: they wait, all get in, and whoever is linked or in does not notice."""

from __future__ import annotations

import asyncio
from pathlib import Path

from choria_broker.broker import NetworkBroker
from support.herd import herd
from support.testbed import Authority, client, configuration

CLIENTS = 40
PATIENT = 60.0
"""Seconds: this machine may be busy with other tests."""


def served(broker: NetworkBroker) -> float:
    """Return how many clients waited and got in."""
    labels = {"identity": broker.settings.identity, "outcome": "served"}
    return broker.registry.get_sample_value("choria_broker_logins_waited_total", labels) or 0.0


async def test_clients_that_come_at_once_are_let_in_one_after_the_other(tmp_path: Path, authority: Authority) -> None:
    config = configuration(tmp_path, authority, network__max_handshakes=1)
    context = authority.context(authority.issue("bob.mcollective"))
    async with (
        NetworkBroker.from_file(config) as broker,
        client(broker, context) as member,
        herd(broker.ports.client, context, CLIENTS, gives_up=PATIENT) as clients,
    ):
        await clients.all_there(CLIENTS, PATIENT)
        await member.flush(timeout=int(PATIENT))
        async with asyncio.timeout(PATIENT):
            while not served(broker):
                await asyncio.sleep(0.05)
        labels = {"identity": broker.settings.identity}
        assert broker.registry.get_sample_value("choria_broker_logins_at_once", labels) == 1


async def test_without_a_bound_nobody_waits(tmp_path: Path, authority: Authority) -> None:
    config = configuration(tmp_path, authority, network__max_handshakes=0)
    context = authority.context(authority.issue("bob.mcollective"))
    async with (
        NetworkBroker.from_file(config) as broker,
        herd(broker.ports.client, context, CLIENTS, gives_up=PATIENT) as clients,
    ):
        await clients.all_there(CLIENTS, PATIENT)
        assert clients.attempts == CLIENTS
        assert served(broker) == 0
