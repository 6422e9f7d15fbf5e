"""What a running broker tells over its control socket, as the commands show it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from choria_broker.audit.throttle import Refused
from choria_broker.broker import NetworkBroker
from choria_broker.cli import main
from choria_broker.control import server
from choria_broker.control import socket_path as place
from choria_broker.control.client import NotRunningError, UnansweredError, ask_decision, ask_status
from choria_broker.status.document import AuthoritiesReport, AuthorityReport
from support.command import run, started
from support.control_socket import STATUS, nobody
from support.minting import HOLDER, ORGANIZATION, encoded, hex_of, mint
from support.minting import client as client_claims
from support.nats_socket import ClosedError, wire
from support.settled import recent
from support.testbed import Authority, client, configuration

SHORT = "0c" * 8
HOSTILE = "x\x1b[31m\x9b2J\u202e\n"


async def test_what_is_told_about_peers_is_no_command_for_the_terminal(
    tmp_path: Path, environ: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    status = msgspec.structs.replace(
        STATUS,
        identity=HOSTILE,
        accepted={HOSTILE: 1},
        refused_addresses=(Refused(HOSTILE, 2, 0.0, {HOSTILE: 2}),),
    )
    config = tmp_path / "broker.conf"
    monkeypatch.setenv("RUNTIME_DIRECTORY", environ["RUNTIME_DIRECTORY"])
    async with server.serve(config, server.Sources(status=lambda: status, find=nobody), environ=environ):
        as_text = await run("status", "--config", config)
        as_json = await run("status", "--config", config, "--json")

    for result in (as_text, as_json):
        assert all(line.isprintable() for line in result.stdout.split("\n"))
    assert as_text.stdout.count("x\\x1b[31m\\x9b2J\\u202e\\n") == 4
    assert json.loads(as_json.stdout)["refused_addresses"][0]["address"] == HOSTILE


BY_ENGINE = {"authentication": 2, "tls-handshake": 1}
REFUSED = (Refused("192.0.2.7", 1, 0.0, {"authentication": 1}),)


@pytest.mark.parametrize(
    ("operator", "refused", "engine", "addresses", "line"),
    [
        ("", {}, {}, (), "Refused: none"),
        ("", {"certificate-required": 1}, {}, REFUSED, "Refused: certificate-required 1"),
        ("", {}, BY_ENGINE, REFUSED, "Refused: by nats-server 3 (authentication 2, tls-handshake 1)"),
        ("OPS", {}, BY_ENGINE, REFUSED, "Refused: by nats-server 3 (authentication 2, tls-handshake 1)"),
        (
            "",
            {"certificate-required": 1},
            BY_ENGINE,
            REFUSED,
            "Refused: certificate-required 1; by nats-server 3 (authentication 2, tls-handshake 1)",
        ),
        ("OPS", {}, {}, (), None),
    ],
)
def test_addresses_that_were_refused_stand_below_a_line_that_says_so(
    monkeypatch: pytest.MonkeyPatch,
    operator: str,
    refused: dict[str, int],
    engine: dict[str, int],
    addresses: tuple[Refused, ...],
    line: str | None,
) -> None:
    told = msgspec.structs.replace(
        STATUS, operator=operator, refused=refused, refused_addresses=addresses, unverified_account="EDGE"
    )
    told = msgspec.structs.replace(told, engine_refused=engine)
    monkeypatch.setattr("choria_broker.cli.status.ask_status", lambda _config: told)
    lines = CliRunner().invoke(main, ["status", "--config", "broker.conf"]).stdout.splitlines()
    assert [each for each in lines if each.startswith("Refused")] == ([line] if line else [])
    shown = [number for number, each in enumerate(lines) if each.startswith("  192.0.2.7: once")]
    assert len(shown) == len(addresses)
    assert [lines[number - 1] for number in shown] == [line] * len(addresses)


def test_connections_by_authority_are_told_with_what_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    found = AuthoritiesReport(
        (
            AuthorityReport("CN=new", "0a" * 32, 2e9, 9.0, ("/ca.pem",), {"client": 2, "to_leafnode": 1}),
            AuthorityReport("CN=old", "0b" * 32, 1e9, -1.0, ("/ca.pem",), {}),
            AuthorityReport("", "0c" * 32, 2e9, 9.0, (), {"leafnode": 1}),
        ),
        without_certificate={"client": 3},
        clear_text={"websocket": 1},
        time=1.7e9,
    )
    told = msgspec.structs.replace(STATUS, authorities=found)
    monkeypatch.setattr("choria_broker.cli.status.ask_status", lambda _config: told)
    lines = CliRunner().invoke(main, ["status", "--config", "broker.conf"]).stdout.splitlines()
    begin = lines.index("Connections by CA, 2023-11-14 22:13:20 UTC:")
    assert lines[begin + 1 : begin + 6] == [
        "  CN=new (0a0a0a0a0a0a0a0a), expires 2033-05-18 03:33:20 UTC: client 2, to leafnode 1; /ca.pem",
        "  CN=old (0b0b0b0b0b0b0b0b), expired 2001-09-09 01:46:40 UTC: none; /ca.pem",
        f"  unnamed ({SHORT}), expires 2033-05-18 03:33:20 UTC: leafnode 1; in no CA file any more, cannot reconnect",
        "  no certificate: client 3; the CA with which these verify this broker is not known here",
        "  no TLS: websocket 1",
    ]


@pytest.mark.parametrize("command", [["status"], ["explain", "--connection", "1"]])
async def test_a_reason_that_comes_from_the_socket_is_no_command_for_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    def unanswered(*_arguments: object) -> object:
        raise UnansweredError(HOSTILE)

    monkeypatch.setattr("choria_broker.cli.status.ask_status", unanswered)
    monkeypatch.setattr("choria_broker.cli.explain.ask_decision", unanswered)
    result = await run(command[0], "--config", tmp_path / "broker.conf", *command[1:])

    assert "x\\x1b[31m" in result.stderr
    assert all(line.isprintable() for line in result.stderr.split("\n"))


async def test_a_running_broker_tells_its_status(tmp_path: Path, authority: Authority) -> None:
    config = configuration(tmp_path, authority)
    context = authority.context(authority.issue("bob.mcollective"))
    async with NetworkBroker.from_file(config) as broker:
        async with client(broker, context):
            pass
        async with wire(broker.ports.client, authority.context(), source="127.0.3.4") as stranger:
            with pytest.raises(ClosedError):
                await stranger.connect()
        as_json = await run("status", "--config", config, "--json")
        as_text = await run("status", "--config", config)
        ports = broker.ports.client
    found = json.loads(as_json.stdout)
    assert (found["identity"], found["pid"], found["source"]) == ("broker.example.net", os.getpid(), str(config))
    assert found["ports"]["client"] == ports
    assert (found["accepted"], found["refused"]) == ({"mtls": 1}, {"certificate-required": 1})
    assert found["refused_addresses"][0]["address"] == "127.0.3.4"
    assert [(each["address"], each["allowed"], each["rule"]) for each in found["recent"]] == [
        ("127.0.3.4", False, "certificate-required"),
        ("127.0.0.1", True, "mtls"),
    ]
    assert "from 127.0.0.1: into choria, mtls" in as_text.stdout
    assert f"client {ports}" in as_text.stdout
    assert "127.0.3.4: once" in as_text.stdout
    assert "certificate-required 1" in as_text.stdout

    gone = await run("status", "--config", config)
    assert gone.exit_code == 1
    assert f"no broker runs with {config}" in gone.stderr
    assert "start it" in gone.stderr


@pytest.mark.parametrize(
    "words", [("status",), ("connections",), ("find", "web1"), ("streams",), ("certificates",), ("top", "--once")]
)
async def test_a_configuration_that_is_not_there_is_said(tmp_path: Path, words: tuple[str, ...]) -> None:
    """The sentence names the mistake, which is another one than a broker that is down."""
    for name in ("nothing.conf", "nothing/below.conf"):
        result = await run(*words, "--config", tmp_path / name)
        assert result.exit_code == 1
        assert f"no broker runs with {tmp_path / name}: there is no such file" in result.stderr
        assert "--config names the file" in result.stderr


async def test_a_running_broker_explains_a_decision(tmp_path: Path, authority: Authority) -> None:
    config = configuration(
        tmp_path,
        authority,
        plugin__security__issuer__names="choria",
        plugin__security__issuer__choria__public=hex_of(ORGANIZATION),
    )
    times = {"iat": 1_700_000_000, "nbf": 1_700_000_000, "exp": 4_102_444_800}
    token = mint(client_claims(**times, permissions={"fleet_management": True}))
    explain = ("explain", "--config", config, "--connection")
    async with NetworkBroker.from_file(config) as broker:
        async with wire(broker.ports.client, authority.context()) as peer:
            await peer.connect(auth_token=token, sig=encoded(HOLDER.sign(peer.nonce.encode())))
        accepted = (await recent(broker))[-1].connection_id
        async with wire(broker.ports.client, authority.context()) as stranger:
            with pytest.raises(ClosedError):
                await stranger.connect(auth_token=token)
        refused = (await recent(broker))[-1].connection_id

        result = await run(*explain, str(accepted), "--publish", "c.node.n1", "--json")
        document: dict[str, Any] = json.loads(result.stdout)
        assert result.exit_code == 0
        assert document["verdict"]["username"] == "up=alice"
        assert "*.node.>" in document["verdict"]["permissions"]["publish"]["allow"]
        assert document["subjects"][0]["entry"] == "*.node.>"

        result = await run(*explain, str(refused))
        assert result.exit_code == 1
        assert "1. token-nonce: refused" in result.stdout
        assert "Refused by token-nonce" in result.stdout

        result = await run(*explain, "999999")
        assert result.exit_code == 2
        assert "connection 999999 is not among the recent decisions" in result.stderr

        result = await run(*explain, "1", "--user", "bob")
        assert result.exit_code == 2
        assert "--connection cannot be used with --user" in result.stderr

        with pytest.raises(UnansweredError):
            await asyncio.to_thread(ask_decision, config, 999_999)
    with pytest.raises(NotRunningError):
        await asyncio.to_thread(ask_status, config)


async def test_the_program_answers_too(tmp_path: Path, authority: Authority) -> None:
    log = tmp_path / "broker.log"
    config = configuration(tmp_path, authority, logfile=log)
    async with started("run", "--config", config, log=log) as program:
        await program.told("READY=1")
        result = await run("status", "--config", config, "--json")
        assert json.loads(result.stdout)["pid"] == program.pid
        program.send(signal.SIGTERM)
        assert await program.ended() == 0
    assert not any(path.exists() for path in place.candidates(config, os.geteuid(), os.environ))
