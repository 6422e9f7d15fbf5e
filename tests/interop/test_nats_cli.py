"""The real nats command line on the broker."""

from __future__ import annotations

import asyncio
from pathlib import Path

from click.testing import CliRunner

from choria_broker.broker import NetworkBroker
from choria_broker.cli import main
from support.fleet import Outcome, run
from support.pages import ROOT, names, rows
from support.streaming import kept
from support.testbed import Authority, client, configuration, settled

DEADLINE = 60.0


async def in_context(nats_cli: Path, account: str, config: Path, port: int, *arguments: str) -> Outcome:
    """Write a context for an account of the broker on a port, with the command, and run nats with it."""
    home = config.parent
    place, here = home / "nats/context", f"127.0.0.1:{port}"
    told = ["context", account, "--config", str(config), "--folder", str(place), "--server", here, "--force"]
    written = await asyncio.to_thread(CliRunner().invoke, main, told)
    assert written.exit_code == 0, written.output
    name = {"system": "choria-system", "choria": "choria"}[account]
    return await run(Path("/usr/bin/env"), f"XDG_CONFIG_HOME={home}", nats_cli, "--context", name, *arguments)


async def test_it_reads_contexts_of_both_accounts(tmp_path: Path, authority: Authority, nats_cli: Path) -> None:
    login = {"network__system__user": "admin", "network__system__password": "s3cret"}
    config = configuration(tmp_path, authority, network__stream__store=tmp_path / "store", **login)
    async with asyncio.timeout(2 * DEADLINE), NetworkBroker.from_file(config) as broker:
        servers = await in_context(nats_cli, "system", config, broker.ports.client, "server", "list", "1", "--json")
        assert servers.status == 0, servers.output
        assert "broker.example.net" in servers.output
        account = await in_context(nats_cli, "choria", config, broker.ports.client, "account", "info")
        assert account.status == 0, account.output
        assert "choria" in account.output


async def test_what_the_page_about_habits_shows_runs(tmp_path: Path, authority: Authority, nats_cli: Path) -> None:
    login = {"network__system__user": "admin", "network__system__password": "s3cret"}
    config = configuration(tmp_path, authority, network__stream__store=tmp_path / "store", **login)
    shown = [
        (names(cell)[0], "system" if "choria-system" in cell else "choria")
        for row in rows(ROOT / "docs/how-to/habits.md", "The nats command line")
        for cell in row
        if "--context" in cell
    ]
    assert len(shown) == 10
    async with asyncio.timeout(2 * DEADLINE), NetworkBroker.from_file(config) as broker:
        await kept(broker)
        for command, account in shown:
            arguments = command.split()[3:]
            snapshot = tmp_path / "snapshot"
            if arguments[0] == "events":  # It goes on and on, and needs nothing else than the others.
                continue
            if arguments[0] == "top":
                arguments += ["--max-refresh", "1", "--output", str(snapshot)]
            outcome = await in_context(nats_cli, account, config, broker.ports.client, *arguments)
            assert outcome.status == 0, f"{command}: {outcome.output}"


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
