"""``jwt client``."""

from __future__ import annotations

from typing import Any

import pytest

from choria_broker.security.chain import names_issuer
from choria_broker.security.signing import public_hex
from choria_broker.security.tokens import verify
from choria_broker.security.tokens_claims import ClientClaims
from support.jwt_bench import Bench
from support.minting import RSA, VECTORS

NOW = 1_900_000_000
RSA_KEY = str(VECTORS / "keys" / "rsa_private.pem")
ORDINARY = ["client", "new.jwt", "up=bob", "org.seed"]


@pytest.fixture(autouse=True)
def _fixed_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: NOW + 0.9)


@pytest.mark.parametrize("name", ["client", "c"])
def test_defaults(bench: Bench, name: str) -> None:
    envelope = bench.make(name, "new.jwt", "up=bob", "org.seed", "--public-key", "u.pub")

    payload = dict(envelope.payload)
    assert len(str(payload.pop("jti"))) == 27
    assert payload == {
        "callerid": "up=bob",
        "ou": "choria",
        "permissions": {"fleet_management": True},
        "purpose": "choria_client_id",
        "public_key": public_hex(bench.holder),
        "iss": "Choria Tokens Package v0.0.1",
        "exp": NOW + 3600,
        "nbf": NOW,
        "iat": NOW,
    }
    claims = verify(envelope, ClientClaims, [bench.organization.public_key()], NOW)
    assert isinstance(claims, ClientClaims)


@pytest.mark.parametrize(
    ("options", "permissions"),
    [
        (["--stream-admin"], {"streams_admin", "fleet_management"}),
        (["--stream-user"], {"streams_user", "fleet_management"}),
        (["--event-viewer"], {"events_viewer", "fleet_management"}),
        (["--elections-user"], {"election_user", "fleet_management"}),
        (["--service"], {"service", "fleet_management"}),
        (["--system"], {"system_user", "fleet_management"}),
        (["--auth-delegation"], {"authentication_delegator", "fleet_management"}),
        (["--governor"], {"governor", "fleet_management"}),
        (["--org-admin"], {"org_admin", "fleet_management"}),
        (["--fleet-management"], {"fleet_management"}),
        (["--no-fleet-management"], set()),
        (["--signed-fleet-management"], {"fleet_management", "signed_fleet_management"}),
        (["--no-fleet-management", "--signed-fleet-management"], {"fleet_management", "signed_fleet_management"}),
        (["--no-fleet-management", "--server-provisioner"], {"provisioner", "fleet_management"}),
        (["--issuer", "--public-key", "u.pub"], set()),
        (["--issuer", "--public-key", "u.pub", "--auth-delegation", "--signed-fleet-management"], set()),
        (["--issuer", "--public-key", "u.pub", "--server-provisioner"], {"provisioner", "fleet_management"}),
        (["--issuer", "--public-key", "u.pub", "--org-admin"], {"org_admin"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_permissions(bench: Bench, options: list[str], permissions: set[str]) -> None:
    payload = bench.make(*ORDINARY, *options).payload
    assert payload["permissions"] == dict.fromkeys(permissions, True)


@pytest.mark.parametrize(
    ("options", "claims"),
    [
        (["--agents", "rpcutil", "--agents", "package"], {"agents": ["rpcutil", "package"]}),
        (["--org", "other"], {"ou": "other"}),
        (["--org", ""], {"ou": None}),
        (["--opa", "package x"], {"opa_policy": "package x"}),
        (["--opa", "package x", "--opa-file", "policy.rego"], {"opa_policy": "package y # é\n"}),
        (["--publish", "a.b", "--publish", "c.>"], {"pub_subjects": ["a.b", "c.>"]}),
        (["--subscribe", "a.*", "--subscribe", "b workers"], {"sub_subjects": ["a.*", "b workers"]}),
        (["--validity", "30d"], {"exp": NOW + 30 * 86400}),
        (["--validity", "1y"], {"exp": NOW + 365 * 86400}),
        (["--validity", "1h30m"], {"exp": NOW + 5400}),
        (["--validity", "1500ms"], {"exp": NOW + 1}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_claims(bench: Bench, options: list[str], claims: dict[str, Any]) -> None:
    (bench.folder / "policy.rego").write_text("package y # é\n", encoding="utf-8")
    payload = bench.make(*ORDINARY, *options).payload
    assert {name: payload.get(name) for name in claims} == claims


@pytest.mark.parametrize("form", ["hex", "file", "newline"])
def test_public_key_as_text_or_file(bench: Bench, form: str) -> None:
    key = public_hex(bench.holder)
    (bench.folder / "nl.pub").write_text(key.upper() + "\n")
    given = {"hex": key.upper(), "file": "u.pub", "newline": "nl.pub"}[form]
    result = bench.run(*ORDINARY, "--public-key", given)
    assert result.stderr == ""
    assert bench.make("client", "other.jwt", "x", "org.seed", "--public-key", given).payload["public_key"] == key


def test_without_a_public_key_it_warns(bench: Bench) -> None:
    assert "--public-key" in bench.run(*ORDINARY).stderr


def test_rsa_key(bench: Bench) -> None:
    envelope = bench.make("client", "new.jwt", "up=bob", RSA_KEY, "--public-key", "u.pub")
    assert envelope.algorithm == "RS256"
    assert isinstance(verify(envelope, ClientClaims, [RSA.public_key()], NOW), ClientClaims)


def test_chain_issuer(bench: Bench) -> None:
    envelope = bench.make(*ORDINARY, "--issuer", "--public-key", "u.pub")
    claims = verify(envelope, ClientClaims, [bench.organization.public_key()], NOW)
    assert isinstance(claims, ClientClaims)
    assert claims.issuer == f"I-{public_hex(bench.organization)}"
    assert names_issuer(claims.issuer, claims.trust_chain, claims.token_id, claims.public_key)


def test_a_token_is_overwritten_silently_and_anything_else_only_by_force(bench: Bench) -> None:
    token = bench.make(*ORDINARY)
    assert bench.make(*ORDINARY).payload["jti"] != token.payload["jti"]

    seed = (bench.folder / "org.seed").read_text()
    assert "org.seed exists and is not a token" in bench.fails("client", "org.seed", "up=bob", "org.seed")
    assert (bench.folder / "org.seed").read_text() == seed

    (bench.folder / "new.jwt").write_text("notes")
    assert "new.jwt exists and is not a token" in bench.fails(*ORDINARY)
    assert bench.make(*ORDINARY, "--force").payload["callerid"] == token.payload["callerid"]
    (bench.folder / "new.jwt").write_text("")
    assert bench.make(*ORDINARY).payload["callerid"] == token.payload["callerid"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["client", "new.jwt", "", "org.seed"], "new.jwt was not created: a client token needs a caller id"),
        (["client", "new.jwt", "x\udcff", "org.seed"], "UTF-8"),
        (["client", "new.jwt", "x", "no.seed"], "no.seed cannot be read (No such file or directory)"),
        (["client", "new.jwt", "x", "."], ". cannot be read (Is a directory)"),
        (["client", "new.jwt", "x", "bad.seed"], "unsupported key in bad.seed"),
        (["client", "no/new.jwt", "x", "org.seed"], "no/new.jwt cannot be written"),
        ([*ORDINARY, "--public-key", "zz"], "zz cannot be read"),
        ([*ORDINARY, "--public-key", "bad.seed"], "bad.seed cannot be used as a public key"),
        ([*ORDINARY, "--public-key", str(VECTORS / "keys" / "rsa_public.pem")], "RSA key"),
        ([*ORDINARY, "--opa-file", "no.rego"], "no.rego cannot be read"),
        ([*ORDINARY, "--opa-file", "latin.rego"], "UTF-8"),
        ([*ORDINARY, "--issuer"], "public key"),
        (["client", "new.jwt", "x", RSA_KEY, "--issuer", "--public-key", "u.pub"], "ed25519 key"),
        ([*ORDINARY, "--vault"], "Vault is not supported"),
        (["client", "--vault"], "Vault is not supported"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_failures(bench: Bench, arguments: list[str], problem: str) -> None:
    (bench.folder / "bad.seed").write_text("not a key at all")
    (bench.folder / "latin.rego").write_bytes(b"# \xe9")
    sentence = bench.fails(*arguments)
    assert problem in sentence
    assert "not a key at all" not in sentence
    assert not (bench.folder / "new.jwt").exists()


@pytest.mark.parametrize(
    "options",
    [
        ["--validity", "soon"],
        ["--validity", "0"],
        ["--validity=-1h"],
        ["--validity", "999ms"],
        ["--validity", "300y"],
        ["--publish", "a b"],
        ["--publish", "a..b"],
        ["--subscribe", "a b c"],
        ["--subscribe", ""],
    ],
    ids=" ".join,
)
def test_options_that_make_no_sense(bench: Bench, options: list[str]) -> None:
    result = bench.run(*ORDINARY, *options)
    assert result.exit_code == 1
    assert options[0].partition("=")[0] in result.stderr
    assert not (bench.folder / "new.jwt").exists()
