"""Clients that present nothing at all: every vector about them must come out exactly as it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from choria_broker.access.build import policy_from
from choria_broker.access.decision import decide
from choria_broker.access.request import Certificate, ConnectionKind, ConnectRequest
from choria_broker.access.verdict import SubjectRules
from choria_broker.settings.broker import Settings
from choria_broker.values import replace
from support.vector_cases import NOW, VECTORS, request_of, settings_of

FILES = sorted((VECTORS / "unverified").glob("*.json"))


def settings_for(broker: dict[str, Any]) -> Settings:
    """Turn the ``broker`` part into settings."""
    settings = settings_of(broker)
    network = replace(
        settings.network,
        accounts=tuple(broker.get("accounts", ())),
        unverified_account=broker.get("unverified_account", ""),
    )
    return replace(settings, network=network)


def request_for(connection: dict[str, Any]) -> ConnectRequest:
    """Turn the ``connection`` part into a request."""
    request = request_of(connection)
    return replace(
        request,
        kind=ConnectionKind(connection.get("kind", request.kind)),
        nkey=connection["connect"].get("nkey", ""),
        certificate=Certificate("mallory") if connection.get("certificate") else None,
    )


def sets(rules: SubjectRules) -> dict[str, set[str]]:
    return {"allow": set(rules.allow or ()), "deny": set(rules.deny)}


def test_all_vectors_are_there() -> None:
    assert [path.name[:13] for path in FILES] == [f"unverified-{number:02}" for number in range(1, 40)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_vector(path: Path) -> None:
    raw = json.loads(path.read_text())
    assert raw["id"] == path.stem
    policy = policy_from(settings_for(raw["broker"]))

    verdict = decide(request_for(raw["connection"]), policy, NOW)

    expect = raw["expect"]
    assert verdict.allowed is expect["allowed"], verdict
    if not verdict.allowed:
        assert verdict.remedy
        return
    assert (verdict.account, verdict.username) == (expect["account"], expect["username"])
    if not expect["permissions"]:
        assert verdict.permissions is None
        return
    assert verdict.permissions is not None
    for direction in ("publish", "subscribe"):
        wanted = expect["permissions"].get(direction, {})
        found = sets(getattr(verdict.permissions, direction))
        assert found == {"allow": set(wanted.get("allow", ())), "deny": set(wanted.get("deny", ()))}
    assert (verdict.method == "unverified") is (verdict.account == "EDGE")
