"""``jwt check``."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import Result

from support.jwt_bench import Bench
from support.minting import (
    CHAIN_ISSUER,
    NOW,
    ORGANIZATION,
    STRANGER,
    chained,
    client,
    hex_of,
    mint,
    provisioning,
    server,
)

ISSUER = hex_of(ORGANIZATION)


@pytest.fixture(autouse=True)
def _fixed_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: NOW + 0.5)


def check(bench: Bench, claims: dict[str, Any], *options: str, key: Any = ORGANIZATION) -> Result:
    (bench.folder / "t.jwt").write_text(mint(claims, key))
    return bench.run("check", "t.jwt", *options)


@pytest.mark.parametrize(
    ("claims", "word"), [(client(), "client"), (server(), "server"), (provisioning(), "provisioning")]
)
def test_good_tokens(bench: Bench, claims: dict[str, Any], word: str) -> None:
    for options in ([], ["--purpose", word], ["--issuer", ISSUER]):
        result = check(bench, claims, *options)
        assert result.exit_code == 0
        assert result.output == f"OK t.jwt OK:{word} token | expires=3599.5000s\n"


def test_chain_issued_tokens_have_the_organization_as_issuer(bench: Bench) -> None:
    assert check(bench, chained(client()), "--issuer", ISSUER, key=CHAIN_ISSUER).exit_code == 0
    assert check(bench, chained(client()), "--issuer", hex_of(CHAIN_ISSUER), key=CHAIN_ISSUER).exit_code == 2


@pytest.mark.parametrize(
    ("claims", "options", "critical"),
    [
        (client(public_key=None), [], ["no public key"]),
        (server(public_key=None), [], ["no public key"]),
        (client(jti=None), [], ["no id"]),
        (client(exp=None), [], ["no expiry"]),
        (client(nbf=None), [], ["no not before"]),
        (client(nbf=NOW + 3600, exp=NOW + 7200), [], ["not valid before 59m59s from now"]),
        (client(exp=NOW - 10), [], ["expired"]),
        (client(), ["--purpose", "server"], ["choria_client_id purpose"]),
        (provisioning(), ["--purpose", "client"], ["choria_provisioning purpose"]),
        (client(), ["--identity", "up=bob"], ["identity up=alice"]),
        (client(), ["--identity", "up=alice"], []),
        (server(), ["--identity", "node2"], ["identity node1.example.net"]),
        (server(), ["--identity", "node1.example.net"], []),
        (provisioning(), ["--identity", "x"], ["no identity"]),
        (client(), ["--client-opa"], ["no OPA policy"]),
        (client(opa_policy="package x"), ["--client-opa"], []),
        (server(), ["--client-opa"], []),
        (client(sub_subjects=["a.>"]), ["--sub", "a.>"], []),
        (client(sub_subjects=["a.>"]), ["--sub", "a.b", "--sub", "c"], ["subscribe a.b", "subscribe c"]),
        (client(pub_subjects=["a"]), ["--pub", "a", "--pub", "b"], ["publish b"]),
        (server(pub_subjects=["a"]), ["--pub", "a", "--pub", "b"], ["publish b"]),
        (server(), ["--sub", "a"], ["subscribe a"]),
        (client(), ["--chain-issuer"], ["chain issuer: false"]),
        (client(), ["--no-chain-issuer"], []),
        (server(), ["--chain-issuer"], ["chain issuer: false"]),
        (chained(client()), ["--chain-issuer"], ["chain issuer: false"]),
        (client(), ["--validity-min", "2h"], ["expires in 59m59s"]),
        (client(), ["--validity-min", "10m", "--validity-max", "2h"], []),
        (client(), ["--validity-max", "10m"], ["expires in 59m59s"]),
        (client(), ["--query", 'callerid == "up=alice"', "--query", "exp > 1"], []),
        (client(), ["--query", 'ou == "x"'], ['ou == "x"']),
        (client(), ["--query", "ou"], ["invalid query: ou: query not boolean"]),
        (
            client(public_key=None, nbf=None),
            ["--purpose", "server", "--identity", "x", "--pub", "a", "--query", "false"],
            ["choria_client_id purpose", "identity up=alice", "no public key", "publish a", "no not before", "false"],
        ),
    ],
    ids=str,
)
def test_all_faults_are_collected(
    bench: Bench, claims: dict[str, Any], options: list[str], critical: list[str]
) -> None:
    result = check(bench, claims, "--format", "json", *options)
    document = json.loads(result.output)
    assert document.get("critical", []) == critical
    assert len(document["ok"]) == 1
    assert result.exit_code == (2 if critical else 0)
    assert document["status"] == ("CRITICAL" if critical else "OK")


def test_chain_issuer(bench: Bench) -> None:
    bench.make("client", "i.jwt", "login", "org.seed", "--issuer", "--public-key", "u.pub")
    assert bench.run("check", "i.jwt", "--chain-issuer").exit_code == 0
    result = bench.run("check", "i.jwt", "--no-chain-issuer")
    assert result.exit_code == 2
    assert "Crit:chain issuer: true" in result.output


@pytest.mark.parametrize(
    ("claims", "options", "key", "critical"),
    [
        (client(), ["--issuer", hex_of(STRANGER)], ORGANIZATION, "the signature was not made by a trusted key"),
        (client(), ["--issuer", "zz"], ORGANIZATION, "invalid issuer"),
        (client(permissions=[]), [], ORGANIZATION, "claim permissions is not an object"),
        (client(exp=NOW), ["--issuer", ISSUER], ORGANIZATION, "the token expired 2027-01-15T08:00:00Z"),
        (chained(client(), organization=STRANGER), ["--issuer", ISSUER], CHAIN_ISSUER, "no trusted key has signed"),
        ({"purpose": "x"}, [], ORGANIZATION, "unknown token purpose"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_tokens_that_are_not_believed(
    bench: Bench, claims: dict[str, Any], options: list[str], key: Any, critical: str
) -> None:
    result = check(bench, claims, *options, key=key)
    assert result.exit_code == 2
    assert result.output.startswith(f"CRITICAL t.jwt Crit:{critical}")
    assert " OK:" not in result.output


def test_files_without_a_token(bench: Bench) -> None:
    (bench.folder / "t.jwt").write_bytes(b"\xff")
    assert "Crit:the token does not have three parts" in bench.run("check", "t.jwt").output
    assert bench.run("check", "no.jwt").output == "CRITICAL no.jwt Crit:token not found\n"
    assert bench.run("check", "no.jwt").exit_code == 2
    assert "Crit:token cannot be read: Is a directory" in bench.run("check", ".").output
    assert bench.run("check", ".").exit_code == 2


def test_json(bench: Bench) -> None:
    assert check(bench, client(), "--format", "json").output == (
        "{\n"
        '  "status": "OK",\n'
        '  "check_suite": "jwt",\n'
        '  "check_name": "t.jwt",\n'
        '  "ok": [\n'
        '    "client token"\n'
        "  ],\n"
        '  "perf_data": [\n'
        "    {\n"
        '      "name": "expires",\n'
        '      "value": 3599.5,\n'
        '      "warning": 0,\n'
        '      "critical": 0,\n'
        '      "unit": "s"\n'
        "    }\n"
        "  ]\n"
        "}\n"
    )


@pytest.mark.parametrize(("changes", "status", "code"), [({}, "OK", 0), ({"nbf": None}, "CRITICAL", 2)])
def test_prometheus_never_fails(bench: Bench, changes: dict[str, Any], status: str, code: int) -> None:
    result = check(bench, client(**changes), "--format", "prometheus")
    assert result.exit_code == 0
    samples = [line for line in result.output.splitlines() if not line.startswith("#")]
    assert samples == [
        'choria_jwt_expires{item="t.jwt"} 3599.5',
        f'choria_jwt_status_code{{item="t.jwt",status="{status}"}} {code}',
    ]
    assert "# TYPE choria_jwt_expires gauge\n" in result.output
    assert "# TYPE choria_jwt_status_code gauge\n" in result.output


def test_prometheus_without_expiry(bench: Bench) -> None:
    result = bench.run("check", 'a"\\\n.jwt', "--format", "prometheus")
    assert 'choria_jwt_status_code{item="a\\"\\\\\\n.jwt",status="CRITICAL"} 2\n' in result.output
    assert "choria_jwt_expires" not in result.output


def test_text(bench: Bench) -> None:
    result = check(bench, client(nbf=None), "--format", "text")
    assert result.exit_code == 2
    assert result.output == (
        "t.jwt: CRITICAL\n\n  Critical  no not before\n  OK        client token\n\n  Expires in 3599.500 seconds\n"
    )


def test_nagios_gets_one_line(bench: Bench) -> None:
    result = check(bench, client(callerid="a\nb\x1b"), "--identity", "x")
    assert result.output == "CRITICAL t.jwt Crit:identity a b  OK:client token | expires=3599.5000s\n"


@pytest.mark.parametrize("options", [["--purpose", "provisioner"], ["--format", "xml"], ["--validity-min", "soon"]])
def test_misuse_is_not_a_critical_token(bench: Bench, options: list[str]) -> None:
    result = check(bench, client(), *options)
    assert result.exit_code == 1
    assert options[0] in result.stderr
