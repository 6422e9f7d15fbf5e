"""``jwt server``."""

from __future__ import annotations

from typing import Any

import pytest

from choria_broker.security.signing import public_hex
from choria_broker.security.tokens import verify
from choria_broker.security.tokens_claims import ServerClaims
from support.jwt_bench import Bench

ORDINARY = ["server", "new.jwt", "node1.example.net", "u.pub", "org.seed"]


def test_defaults(bench: Bench) -> None:
    envelope = bench.make(*ORDINARY)

    payload = dict(envelope.payload)
    issued_at = payload.pop("iat")
    assert isinstance(issued_at, int)
    assert len(str(payload.pop("jti"))) == 27
    assert payload == {
        "identity": "node1.example.net",
        "collectives": ["mcollective"],
        "permissions": {},
        "ou": "choria",
        "purpose": "choria_server",
        "public_key": public_hex(bench.holder),
        "iss": "Choria Tokens Package v0.0.1",
        "exp": issued_at + 8760 * 3600,
        "nbf": issued_at,
    }
    assert isinstance(verify(envelope, ServerClaims, [bench.organization.public_key()], issued_at), ServerClaims)


@pytest.mark.parametrize(
    ("options", "claims"),
    [
        (["--collectives", "a", "--collectives", "b"], {"collectives": ["a", "b"]}),
        (["--org", "other"], {"ou": "other"}),
        (["--subjects", "a.b", "--subjects", "c.>"], {"pub_subjects": ["a.b", "c.>"]}),
        (["--submission"], {"permissions": {"submission": True}}),
        (["--stream-user"], {"permissions": {"streams": True}}),
        (["--service"], {"permissions": {"service_host": True}}),
        (["--governor", "--stream-user"], {"permissions": {"governor": True, "streams": True}}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_claims(bench: Bench, options: list[str], claims: dict[str, Any]) -> None:
    payload = bench.make(*ORDINARY, *options).payload
    assert {name: payload.get(name) for name in claims} == claims


def test_validity_and_key_as_text(bench: Bench) -> None:
    key = public_hex(bench.holder)
    payload = bench.make("server", "new.jwt", "node1", key, "org.seed", "--validity", "2w").payload
    assert payload["public_key"] == key
    assert isinstance(payload["exp"], int)
    assert isinstance(payload["iat"], int)
    assert payload["exp"] - payload["iat"] == 14 * 86400


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([*ORDINARY, "--governor"], "without --stream-user"),
        (["server", "new.jwt", "", "u.pub", "org.seed"], "needs an identity"),
        (["server", "new.jwt", "n", "", "org.seed"], "needs the public key"),
        (["server", "new.jwt", "n", "zz", "org.seed"], "zz cannot be read"),
        (["server", "new.jwt", "n", "u.pub", "no.seed"], "no.seed cannot be read"),
        ([*ORDINARY, "--vault"], "Vault is not supported"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_failures(bench: Bench, arguments: list[str], problem: str) -> None:
    assert problem in bench.fails(*arguments)
    assert not (bench.folder / "new.jwt").exists()


def test_a_token_is_overwritten_silently(bench: Bench) -> None:
    first = bench.make(*ORDINARY)
    assert bench.make(*ORDINARY).payload["jti"] != first.payload["jti"]


def test_a_subject_with_a_queue_is_not_for_publishing(bench: Bench) -> None:
    result = bench.run(*ORDINARY, "--subjects", "a b")
    assert result.exit_code == 1
    assert "'a b' is not a subject" in result.stderr


@pytest.mark.parametrize("name", ["web1.", "*", "a b", "a..b", "a\x1b[2J", "web>"])
def test_a_name_that_the_broker_would_refuse_is_not_issued(bench: Bench, name: str) -> None:
    for arguments in (["server", "new.jwt", name, "u.pub", "org.seed"], [*ORDINARY, "--collectives", name]):
        result = bench.run(*arguments)
        assert result.exit_code == 1
        assert "cannot be part of a subject" in result.stderr
        assert "\x1b" not in result.stderr
        assert not (bench.folder / "new.jwt").exists()
