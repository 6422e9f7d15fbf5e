"""``jwt provisioning``."""

from __future__ import annotations

from typing import Any

import pytest

from choria_broker.security.tokens import verify
from choria_broker.security.tokens_claims import ProvisioningClaims
from support.jwt_bench import Bench

ORDINARY = ["provisioning", "new.jwt", "org.seed", "--urls", "a:1"]


@pytest.mark.parametrize("name", ["provisioning", "prov", "provision", "p"])
def test_defaults(bench: Bench, name: str) -> None:
    envelope = bench.make(name, *ORDINARY[1:], "--token", "s3cret")

    payload = dict(envelope.payload)
    issued_at = payload.pop("iat")
    assert isinstance(issued_at, int)
    assert len(str(payload.pop("jti"))) == 27
    assert payload == {
        "cht": "s3cret",
        "chs": False,
        "chu": "a:1",
        "chpd": False,
        "extensions": None,
        "ou": "choria",
        "purpose": "choria_provisioning",
        "iss": "Choria Tokens Package v0.0.1",
        "sub": "choria_provisioning",
        "exp": issued_at + 365 * 86400,
        "nbf": issued_at,
    }
    keys = [bench.organization.public_key()]
    assert isinstance(verify(envelope, ProvisioningClaims, keys, issued_at), ProvisioningClaims)


@pytest.mark.parametrize(
    ("options", "claims"),
    [
        (["--no-insecure"], {"chs": True}),
        (["--insecure"], {"chs": False}),
        (["--urls", "b:2"], {"chu": "a:1,b:2"}),
        (["--srv", "example.net"], {"chsrv": "example.net"}),
        (["--default"], {"chpd": True}),
        (["--registration", "/r", "--facts", "/f"], {"chrd": "/r", "chf": "/f"}),
        (["--username", "u", "--password", "p"], {"chusr": "u", "chpwd": "p"}),
        (["--extensions", '{"a": [1, {"b": null}]}'], {"extensions": {"a": [1, {"b": None}]}}),
        (["--extensions", "{}"], {"extensions": {}}),
        (["--org", "other"], {"ou": "other"}),
        (["--protocol-v2"], {"v2": True}),
        (["--upgrade"], {"update": True}),
        (["--update"], {"update": True}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_claims(bench: Bench, options: list[str], claims: dict[str, Any]) -> None:
    payload = bench.make(*ORDINARY, "--token", "x", *options).payload
    assert {name: payload.get(name) for name in claims} == claims


def test_srv_domain_instead_of_urls(bench: Bench) -> None:
    payload = bench.make("p", "new.jwt", "org.seed", "--token", "x", "--srv", "example.net").payload
    assert payload["chsrv"] == "example.net"
    assert "chu" not in payload


def test_asks_for_the_token_and_does_not_show_it(bench: Bench) -> None:
    result = bench.run(*ORDINARY, answers="s3cret\n")
    assert result.exit_code == 0
    assert "s3cret" not in result.output
    assert '"cht": "s3cret"' in bench.run("view", "--json", "new.jwt").stdout


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--extensions", "x"], "JSON object"),
        (["--extensions", "[1]"], "JSON object"),
        (["--extensions", '{"a": NaN}'], "infinite"),
        (["--extensions", "[" * 100_000], "JSON object"),
        (["--vault"], "Vault is not supported"),
    ],
    ids=["text", "list", "NaN", "deep", "vault"],
)
def test_failures(bench: Bench, options: list[str], problem: str) -> None:
    sentence = bench.fails(*ORDINARY, "--token", "s3cret", *options)
    assert problem in sentence
    assert "s3cret" not in sentence
    assert not (bench.folder / "new.jwt").exists()


def test_nowhere_to_be_provisioned(bench: Bench) -> None:
    assert "use --urls or --srv" in bench.fails("p", "new.jwt", "org.seed", "--token", "x")


def test_nobody_there_to_ask(bench: Bench) -> None:
    assert "use --token" in bench.fails(*ORDINARY)
    assert not (bench.folder / "new.jwt").exists()


def test_a_token_is_overwritten_silently(bench: Bench) -> None:
    first = bench.make(*ORDINARY, "--token", "x")
    assert bench.make(*ORDINARY, "--token", "x").payload["jti"] != first.payload["jti"]
