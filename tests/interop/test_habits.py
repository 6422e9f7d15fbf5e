"""Every command that go-choria has for who runs brokers, on this broker, from the real program."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from choria_broker.broker import NetworkBroker
from choria_broker.cli import COMMANDS
from choria_broker.cli.habits import hint_for
from support.fleet import Fleet, Outcome, run
from support.streaming import kept, member
from support.terminal import on_terminal
from support.testbed import Authority, client, configuration
from support.topology import formed, nodes
from support.topology import running as together

DEADLINE = 240.0
SYSTEM: dict[str, Any] = {"network__system__user": "admin", "network__system__password": "s3cret"}
LOGIN = "plugin.choria.network.system.user = admin\nplugin.choria.network.system.password = s3cret\n"
AS_SYSTEM = "plugin.nats.user = admin\nplugin.nats.pass = s3cret\n"

RUN = r"""
server list 1 => Server Overview
server list 1 --json => "name": "broker\.example\.net"
server info broker.example.net => Server information for broker\.example\.net
server ping => 1 replies
server report connections => broker\.example\.net
server report connections --json => "cid"
server report accounts => choria
server report jetstream => JetStream Summary
server report cpu => broker\.example\.net
server report mem => broker\.example\.net
server request subscriptions => "num_subscriptions"
server request variables => "server_name":"broker\.example\.net"
server request connections => "connections"
server request routes => "num_routes"
server request gateways => "outbound_gateways"
server request leafnodes => "leafnodes"
server request accounts => "accounts"
server request jetstream => "streams"
server request jetstream-health => "status":"ok"
server request profile goroutine HOME => profile written
server check connection => OK Connection
server check stream --stream CHORIA_EVENTS --peer-expect 1 => CHORIA_EVENTS
server check meta --expect 1 --lag-critical 1 --seen-critical 1s => OK JetStream Meta Cluster
server check jetstream => OK JetStream
server check server --name broker.example.net => OK broker\.example\.net
server check kv --bucket CHORIA_LEADER_ELECTION => OK CHORIA_LEADER_ELECTION
server check credential --credential CREDENTIALS --no-require-expiry => CRITICAL|OK
server account info choria => Account information for account choria
server config reload ID --force => Server information
server mappings a.* b.$1 a.x => b\.x
server passwd -p 012345678901234567890123 => \$2a\$11\$
account info => Streams: 5 of Unlimited
account report connections => Connections out of
account report statistics => Server Statistics
account tls => Verified Chains count
stream ls => CHORIA_EVENTS
stream report => CHORIA_EVENTS
stream find => CHORIA_EVENTS
stream info CHORIA_EVENTS => choria\.lifecycle\.>
stream state CHORIA_EVENTS => State for Stream CHORIA_EVENTS
stream subjects CHORIA_EVENTS => No subjects found
stream add EXTRA --subjects extra --defaults => Stream EXTRA was created
publish extra hello => Published 5 bytes
publish extra again => Published 5 bytes
stream get EXTRA 1 => hello
stream gaps EXTRA --force => No deleted messages
stream rmm EXTRA 1 --force =>
stream backup EXTRA HOME/extra => Received
consumer add EXTRA pull --pull --defaults => Information for Consumer
consumer ls EXTRA => pull
consumer report EXTRA => pull
consumer info EXTRA pull => Information for Consumer
consumer edit EXTRA pull --description x --force => Information for Consumer
consumer copy EXTRA pull other --pull => Information for Consumer
consumer next EXTRA pull => again
server check consumer --stream EXTRA --consumer pull => OK
consumer rm EXTRA pull --force =>
stream edit EXTRA --description x --force => EXTRA
stream copy EXTRA COPY --subjects copy => Stream
stream purge EXTRA --force => EXTRA
stream seal COPY --force => COPY
stream rm EXTRA --force =>
stream restore HOME/extra => EXTRA
account backup HOME/all --force => Performing backup
"""
"""Commands and what they say, in this order; lines with nothing behind the arrow say nothing."""

ELSEWHERE = {
    "server watch accounts": "needs a terminal",
    "server watch jetstream": "needs a terminal",
    "server watch servers": "needs a terminal",
    "stream view": "needs a terminal",
    "top": "logs in as the user in plugin.nats.user, and wants the listen address",
    "events": "logs in as the user in plugin.nats.user for what it tells of connections",
    "subscribe": "goes on and on",
    "reply": "goes on and on",
    "request": "wants somebody who replies",
    "consumer sub": "goes on and on",
    "server request kick": "wants the number of a connection",
    "server cluster step-down": "wants a cluster",
    "server cluster peer-remove": "wants a cluster",
    "stream cluster": "wants a cluster",
    "consumer cluster": "wants a cluster",
}
"""What other tests here run, and why."""

NEVER = {
    "server check message": "logs in as the system user, whose account has no streams",
    "server account purge": "takes all streams of an account away",
    "account restore": "restores what is there already",
    "run": "is the other broker",
}
"""What does not work, or is not to be tried; the page about habits says so."""


@dataclasses.dataclass(frozen=True, slots=True)
class Operator:
    """An operator with go-choria's program, and a home with its configuration."""

    program: Path
    home: Path

    def command(self, *arguments: str) -> tuple[str | Path, ...]:
        return ("/usr/bin/env", f"HOME={self.home}", "TERM=xterm", self.program, "broker", *arguments)

    async def run(self, *arguments: str) -> Outcome:
        program, *rest = self.command(*arguments)
        return await run(Path(program), *rest)


def operator_at(home: Path, choria: Path, fleet: Fleet, port: int, more: str = "") -> Operator:
    """Write the configuration of an operator with the login of the system user."""
    home.mkdir()
    (home / ".choriarc").write_text(fleet.client(port).read_text() + LOGIN + more, encoding="utf-8")
    return Operator(choria, home)


@contextlib.asynccontextmanager
async def one_broker(tmp_path: Path, authority: Authority, choria: Path) -> AsyncIterator[tuple[NetworkBroker, Fleet]]:
    config = configuration(tmp_path, authority, network__stream__store=tmp_path / "store", **SYSTEM)
    async with asyncio.timeout(DEADLINE), NetworkBroker.from_file(config) as broker:
        await kept(broker)
        yield broker, Fleet(choria, tmp_path, authority)


def rows() -> Iterator[tuple[str, str]]:
    for line in RUN.strip().splitlines():
        command, _, wanted = line.partition("=>")
        yield command.strip(), wanted.strip()


_WHOLE = {("stream", "cluster"), ("consumer", "cluster")}


async def leaves(program: Path, *path: str) -> list[str]:
    """List all commands below one, as its help tells them; a command of natscli without any is one itself."""
    told = (await run(program, "broker", *path, "--help")).output
    found = re.findall(rf"^  {' '.join(('broker', *path))} (\S+)", told, re.MULTILINE)
    if "Subcommands:" not in told or not found or path in _WHOLE:
        return [" ".join(path)]
    return [leaf for name in found for leaf in await leaves(program, *path, name)]


async def test_every_command_is_known(choria: Path) -> None:
    found = set(await leaves(choria))
    tried = {name for name in found if any(f"{command} ".startswith(f"{name} ") for command, _ in rows())}
    assert found == tried | ELSEWHERE.keys() | NEVER.keys()
    for name in found:
        assert name.split()[0] in COMMANDS or hint_for(name.split()), name


@pytest.mark.timeout(DEADLINE + 60)
async def test_what_go_choria_has_for_brokers_runs(tmp_path: Path, authority: Authority, choria: Path) -> None:
    async with one_broker(tmp_path, authority, choria) as (broker, fleet):
        home = tmp_path / "home"
        operator = operator_at(home, choria, fleet, broker.ports.client)
        listed = json.loads((await operator.run("server", "list", "1", "--json")).output)
        places = {"HOME": str(home), "ID": listed[0]["server"]["id"], "CREDENTIALS": str(home / ".choriarc")}
        failed = []
        for command, wanted in rows():
            outcome = await operator.run(*(_placed(word, places) for word in command.split()))
            expected = {0, 2} if "credential" in command else {0}
            if outcome.status not in expected or not re.search(wanted, outcome.output):
                failed.append(f"{command}: {outcome.status} {outcome.output[-400:]}")
        assert not failed, "\n".join(failed)
        message = await operator.run("server", "check", "message", "--stream", "CHORIA_EVENTS", "--subject", "x")
        assert "JetStream not enabled for account" in message.output


def _placed(word: str, places: dict[str, str]) -> str:
    first, slash, rest = word.partition("/")
    return places.get(first, first) + slash + rest


async def test_what_goes_on_and_on_runs_too(tmp_path: Path, authority: Authority, choria: Path) -> None:
    async with one_broker(tmp_path, authority, choria) as (broker, fleet):
        operator = operator_at(tmp_path / "home", choria, fleet, broker.ports.client)
        for command, wanted in (
            ("server watch accounts", "Account activity"),
            ("server watch servers", r"broker\.example\.net"),
            ("server watch jetstream", "HA Asset"),
            ("stream view CHORIA_STREAM_ADVISORIES", "STREAM.CREATED"),
        ):
            async with on_terminal(*operator.command(*command.split())) as terminal:
                await terminal.shows(wanted)
        async with on_terminal(*operator.command("reply", "some.subject", "the answer")) as replying:
            await replying.shows("istening")
            await _until(operator, "request", "some.subject", "hello", wanted="the answer")
        await operator.run("stream", "add", "EXTRA", "--subjects", "extra", "--defaults")
        await operator.run("consumer", "add", "EXTRA", "push", "--target", "to.me", "--defaults")
        async with (
            on_terminal(*operator.command("subscribe", "extra")) as subscribed,
            on_terminal(*operator.command("consumer", "sub", "EXTRA", "push")) as consuming,
        ):
            await subscribed.shows("Subscribing on extra")
            await operator.run("publish", "extra", "hello")
            await subscribed.shows("hello")
            await consuming.shows("hello")


async def _until(operator: Operator, *arguments: str, wanted: str) -> None:
    """Run a command until it says something: who answers may have subscribed a little later than it says."""
    while wanted not in (await operator.run(*arguments)).output:
        await asyncio.sleep(0.1)


async def test_what_logs_in_as_another_user(tmp_path: Path, authority: Authority, choria: Path) -> None:
    async with one_broker(tmp_path, authority, choria) as (broker, fleet):
        operator = operator_at(tmp_path / "home", choria, fleet, broker.ports.client, AS_SYSTEM)
        web1 = authority.context(authority.issue("web1.example.net"))
        async with on_terminal(*operator.command("events", "--all")) as events:
            await events.shows("Authentication Errors events")
            async with client(broker, web1) as connection:
                await events.shows("Client Connection")
                listed = json.loads((await operator.run("server", "list", "1", "--json")).output)
                (session,) = [each for each in await broker.sessions() if each.holder.identity == "web1.example.net"]
                await operator.run(*("server", "request", "kick", str(session.connection), listed[0]["server"]["id"]))
                while connection.is_connected:
                    await asyncio.sleep(0.05)
            await events.shows("Client Disconnection")
        snapshot = tmp_path / "snapshot"
        # The name that it wants is the address that the broker listens on.
        top = await operator.run("top", "127.0.0.1", "--max-refresh", "1", "--output", str(snapshot))
        assert top.status == 0, top.output
        assert "Server: broker.example.net" in snapshot.read_text(encoding="utf-8")


@pytest.mark.timeout(DEADLINE + 60)
async def test_what_wants_a_cluster(tmp_path: Path, authority: Authority, choria: Path) -> None:
    members = nodes(3, host="127.0.0.1")
    brokers = [member(tmp_path, authority, node, *members, **SYSTEM) for node in members]
    async with asyncio.timeout(DEADLINE), together(brokers):
        await formed(*members)
        await kept(brokers[0])
        operator = operator_at(tmp_path / "home", choria, Fleet(choria, tmp_path, authority), members[0].client)
        await _until(operator, "server", "list", "3", "--json", wanted="broker3.example.net")
        for command, wanted in (
            ("server report jetstream", "RAFT Meta Group Information"),
            ("server cluster step-down", "New leader elected|leader"),
            ("stream cluster step-down CHORIA_EVENTS", "leader"),
            ("server cluster peer-remove nobody --force", "nobody|no server"),
        ):
            outcome = await operator.run(*command.split())
            assert re.search(wanted, outcome.output), f"{command}: {outcome.output}"
            assert "panic" not in outcome.output
