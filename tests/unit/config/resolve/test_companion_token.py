"""The token of adapters and the federation broker: whose it is, and what is said about what it does not permit."""

from __future__ import annotations

from typing import Any

import pytest

from choria_broker.access.permissions import reply_digests
from choria_broker.host.facts import FileFact
from choria_broker.settings.finding_codes import Severity
from support.minting import HOLDER, NOW, STRANGER, client, mint, provisioning, server
from support.scenario import BASE, Result, scenario

CHORIA = BASE.replace("provider = file", "provider = choria").replace("security.file", "security.choria")
ALONE = "plugin.choria.broker_network = no\n"
OWN = (
    "plugin.security.choria.token_file = /t.jwt\n"
    "plugin.security.choria.seed_file = /t.seed\n"
    f"plugin.security.choria.trusted_signers = {'a' * 64}\n"
)
ADAPTER = (
    "plugin.choria.adapters = x\n"
    "plugin.choria.adapter.x.type = choria_streams\n"
    "plugin.choria.adapter.x.ingest.topic = in.>\n"
    "plugin.choria.adapter.x.stream.topic = out.%s\n"
)
FEDERATION = (
    "plugin.choria.broker_federation = yes\n"
    "plugin.choria.federation.cluster = london\n"
    "plugin.choria.federation_middleware_hosts = f:4222\n"
)
FEDERATED = (
    "the token of up=alice does not permit what the federation broker needs: "
    "subscribe to choria.federation.london.federation, publish to choria.reply.>"
)
SEED = HOLDER.private_bytes_raw().hex()
ALL: dict[str, Any] = {"permissions": {"org_admin": True}}


def found(token: str | FileFact, lines: str = ALONE + ADAPTER, seed: str = SEED) -> Result:
    fact = FileFact(token.encode()) if isinstance(token, str) else token
    return scenario(CHORIA + OWN + lines, files={"/t.jwt": fact, "/t.seed": FileFact(seed.encode())})


def told(result: Result) -> list[str]:
    return [each.problem for each in result.findings if each.code == "companion-token"]


@pytest.mark.parametrize("lines", [ALONE + ADAPTER, ALONE + FEDERATION, ALONE + ADAPTER + FEDERATION, FEDERATION])
def test_a_token_that_permits_everything(lines: str) -> None:
    assert told(found(mint(client(**ALL)), lines)) == []


def test_answers_go_to_the_holder_of_the_token() -> None:
    (adapter,) = found(mint(client(**ALL))).ok.adapters
    assert adapter.output.inbox == f"choria.reply.{reply_digests('up=alice')[0]}"
    (adapter,) = found(FileFact(problem="no such file or directory")).ok.adapters
    assert adapter.output.inbox == f"choria.reply.{reply_digests('broker1.example.net')[0]}"


@pytest.mark.parametrize(
    ("lines", "problems"),
    [
        (
            ALONE + ADAPTER,
            ["the token of up=alice does not permit what adapter x needs: subscribe to in.>, publish to out.*"],
        ),
        (
            ALONE + FEDERATION,
            [f"{FEDERATED}, subscribe to choria.federation.london.collective"],
        ),
        (
            FEDERATION,
            [FEDERATED],
        ),
        (ADAPTER, []),
    ],
)
def test_what_it_does_not_permit(lines: str, problems: list[str]) -> None:
    result = found(mint(client(permissions={"fleet_management": True})), lines)
    assert told(result) == problems
    if problems:
        finding = result.one("companion-token")
        assert (finding.severity, finding.key) == (Severity.WARN, "plugin.security.choria.token_file")


def test_subjects_of_the_token_count() -> None:
    subjects = {"pub_subjects": ["out.>"], "sub_subjects": ["in.> nats_ingest_x"]}
    assert told(found(mint(client(**subjects)))) == []
    mine = server(identity="broker1.example.net", pub_subjects=["out.>"])
    assert told(found(mint(mine))) == [
        "the token of broker1.example.net does not permit what adapter x needs: subscribe to in.>"
    ]


def test_a_servers_token_of_another_identity() -> None:
    other = mint(server(pub_subjects=["out.>"]))
    refused = next(each for each in found(other).findings if each.code == "companion-token")
    assert refused.severity is Severity.REFUSE
    assert refused.problem == "the token is for node1.example.net, and this broker is broker1.example.net"
    assert found(other, FEDERATION).ok.federation
    assert "node1.example.net" in told(found(other, FEDERATION))[0]


@pytest.mark.parametrize(
    ("token", "seed", "problem"),
    [
        (FileFact(problem="no such file or directory"), SEED, "/t.jwt: no such file or directory"),
        ("x", SEED, "/t.jwt: the token does not have three parts"),
        (mint(provisioning()), SEED, "/t.jwt: neither a client's token nor a server's"),
        (mint(client(callerid=7)), SEED, "/t.jwt: claim callerid"),
        (mint(client(public_key=None, **ALL)), SEED, "/t.jwt: the token has no public_key"),
        (mint(client(exp=NOW - 10**9, **ALL)), SEED, "the token has expired"),
        (mint(client(**ALL)), STRANGER.private_bytes_raw().hex(), "/t.seed: the seed does not belong to the token"),
        (mint(client(**ALL)), "x", "/t.seed: the file has no seed"),
    ],
)
def test_what_cannot_be_used(token: str | FileFact, seed: str, problem: str) -> None:
    result = found(token, seed=seed)
    assert problem in told(result)[0]
    assert result.one("companion-token").severity is Severity.WARN
    assert SEED not in str(result.findings)
    assert result.ok.adapters


def test_of_another_provider_no_token_is_looked_at() -> None:
    assert told(scenario(BASE + ALONE + ADAPTER)) == []
