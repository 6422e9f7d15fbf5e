"""Nothing secret comes out of a broker, wherever one looks, whatever is thrown at it."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from pathlib import Path

import aiohttp
import msgspec
import pytest
from click.testing import CliRunner

from choria_broker.broker import NetworkBroker
from choria_broker.cli import main
from support.leaks import PASSWORDS, leaks
from support.minting import (
    HOLDER,
    ORGANIZATION,
    STRANGER,
    client,
    encoded,
    hex_of,
    mint,
    provisioning,
    server,
)
from support.nats_socket import ClosedError, wire
from support.settled import recent
from support.testbed import Authority, configuration, engine_pages, free_port

ALWAYS = {"iat": 1_700_000_000, "nbf": 1_700_000_000, "exp": 4_102_444_800}
GOOD = mint(client(**ALWAYS, permissions={"provisioner": True, "system_user": True}))
TOKENS = {
    "client": GOOD,
    "server": mint(server(**ALWAYS)),
    "provisioning": mint(provisioning(**ALWAYS)),
    "forged": mint(client(**ALWAYS), STRANGER),
    "expired": mint(client(**ALWAYS | {"exp": 1_700_000_001})),
    "tampered": GOOD[:-8] + "AAAAAAAA",
    "no claims": mint("[]"),
    "caller": mint(client(**ALWAYS, callerid="")),
}


def attempts() -> list[dict[str, str]]:
    """List fields of CONNECT: right ones, wrong ones, and secrets where they do not belong.

    No secret is sent as a user: that is a name, and the engine shows it.
    """
    logins: list[dict[str, str]] = [{}]
    logins += [{"user": user, "pass": word} for user in ("provisioner", "system", "bob") for word in ("", *PASSWORDS)]
    tokens: list[dict[str, str]] = [{}, *({"auth_token": token, "jwt": token} for token in TOKENS.values())]
    pairs = [login | token for login in logins[:1] for token in tokens]
    pairs += [login | {"auth_token": GOOD} for login in logins]
    pairs += logins
    pairs += [{"user": "bob", "pass": GOOD}, {"nkey": "UABC", "sig": "x"}, {"auth_token": "s3cret"}]
    return pairs


async def throw_everything(broker: NetworkBroker, authority: Authority) -> None:
    anonymous, certified = authority.context(), authority.context(authority.issue("bob.mcollective"))
    for fields in attempts():
        for key, context in ((HOLDER, anonymous), (STRANGER, anonymous), (HOLDER, certified)):
            async with wire(broker.ports.client, context) as peer:
                proof = {"sig": encoded(key.sign(peer.nonce.encode()))} if "auth_token" in fields else {}
                try:
                    await peer.connect(**proof, **fields)
                    await peer.publish(["a.denied", "$SYS.REQ.USER.INFO"], "x")
                    await peer.subscribe(["a.denied"])
                except ClosedError:
                    continue


async def pages(broker: NetworkBroker, port: int) -> str:
    found = []
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as public, engine_pages(broker) as engine:
        for session, path in (
            *((public, path) for path in ("/metrics", "/choria/", "/varz", "/connz?auth=1&subs=1&state=any")),
            *((engine, path) for path in ("/connz?auth=1&subs=1&state=any", "/accountz?acc=choria", "/varz")),
        ):
            async with session.get(path) as answer:
                assert answer.status == 200
                found.append(await answer.text())
    return "\n".join(found)


async def commands(config: Path, broker: NetworkBroker, tmp_path: Path) -> str:
    runs: list[tuple[tuple[str, ...], str | None]] = [
        (("check",), None),
        (("status",), None),
        (("status", "--json"), None),
        (("events", "--no-follow"), None),
        (("events", "--no-follow", "--json"), None),
        (("top", "--once", "--interval", "0.5", "--json"), None),
    ]
    for token in TOKENS.values():
        (tmp_path / "token.jwt").write_text(token, encoding="utf-8")
        runs += [(("explain", "--token", token), None), (("explain", "--token", "-", "--json"), token)]
    for word in PASSWORDS:
        runs.append((("explain", "--user", "system", "--tls", "mtls", "--password-stdin"), word))
    for decision in list(await recent(broker))[::20]:
        runs.append((("explain", "--connection", str(decision.connection_id), "--json"), None))
    written = []
    for arguments, given in runs:
        command = [arguments[0], "--config", str(config), *arguments[1:]]
        result = await asyncio.to_thread(CliRunner().invoke, main, command, input=given)
        assert result.exit_code in {0, 1}, result.output
        written.append(result.output)
    return "\n".join(written)


@pytest.mark.slow
async def test_nothing_secret_comes_out(tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    config = configuration(
        tmp_path,
        authority,
        plugin__choria__stats_port=port,
        plugin__security__issuer__names="choria",
        plugin__security__issuer__choria__public=hex_of(ORGANIZATION),
        network__provisioning__client_password="provpass",
        network__system__user="system",
        network__system__password="syspass",
    )
    caplog.set_level(logging.DEBUG, logger="choria_broker")
    broker = NetworkBroker.from_file(config)
    async with broker:
        await throw_everything(broker, authority)
        written = await pages(broker, port) + await commands(config, broker, tmp_path)
    written += repr([msgspec.structs.asdict(decision) for decision in broker.audit.recent])
    written += "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    results = {decision.rule for decision in broker.audit.recent}

    assert {"client-token", "server-token", "provisionee", "provisioner", "system-user", "token-nonce"} <= results
    assert not leaks(written, *TOKENS.values(), broker._engine.bridge_secret)


@pytest.mark.parametrize(
    "text",
    [
        f"x {GOOD}",
        f'"{GOOD}"',
        f"sig={encoded(HOLDER.sign(b'x'))} ",
        "password hunter2",
        HOLDER.private_bytes_raw().hex(),
    ],
)
def test_secrets_are_recognised(text: str) -> None:
    assert leaks(text)


def test_what_is_public_is_no_secret() -> None:
    public: Mapping[str, str] = {"key": hex_of(HOLDER), "caller": "up=alice", "subject": f"c.reply.{'a' * 64}.>"}
    assert not leaks(json.dumps(public))
