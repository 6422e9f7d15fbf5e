"""The settings in force as they may be shown."""

from __future__ import annotations

import pytest

from choria_broker.reload.shown import NOT_SHOWN, settings_now
from choria_broker.status.settings_now import SettingReport, SettingsNow
from support.scenario import NET, net


def now(*lines: str) -> SettingsNow:
    found = net(*lines)
    return settings_now(found.ok, found.findings)


def one(found: SettingsNow, key: str) -> SettingReport:
    return next(each for each in found.settings if each.key == key)


def test_what_is_set_has_its_place_and_what_is_not_its_default() -> None:
    found = now("max_connections = 100")
    mine = one(found, NET + "max_connections")
    assert (mine.value, mine.default, mine.apply, mine.is_set) == ("100", "50000", "engine", True)
    assert mine.line > 0
    assert mine.place == f"{mine.file}:{mine.line}"
    other = one(found, NET + "write_deadline")
    assert (other.value, other.default, other.place, other.is_set) == ("5s", "5s", "default", False)
    assert other.doc


def test_secrets_are_masked_and_other_programs_values_are_not_shown() -> None:
    found = now(
        "system.user = bob",
        "system.password = hunter22",
        "provisioning.client_password = hunter22",
        "peers = nats://u:hunter22@peer.example:5222",
    )
    assert "hunter22" not in repr(found)
    assert one(found, NET + "system.password").value == "*****"
    assert one(found, NET + "peers").value == "nats://*****@peer.example:5222"


def test_a_key_that_nobody_knows_is_there_without_its_value() -> None:
    found = now("no_such_key = hunter22")
    mine = one(found, NET + "no_such_key")
    assert (mine.value, mine.is_set, mine.line > 0) == (NOT_SHOWN, True, True)
    assert any("no_such_key" in each.text for each in found.findings)
    assert "hunter22" not in repr(found)


@pytest.mark.parametrize(
    ("key", "shared"),
    [
        ("max_connections", True),
        ("gateway_name", True),
        ("client_port", True),
        ("listen_address", False),
        ("public_url", False),
        ("revocations", False),
        ("system.password", False),
        ("client_signer_cert", False),
    ],
)
def test_what_members_of_a_cluster_should_have_alike(key: str, shared: bool) -> None:
    assert one(now(), NET + key).shared is shared


def test_only_what_is_set_is_told_to_other_members() -> None:
    found = now("max_connections = 100", "system.user = bob", "system.password = hunter22").shared
    assert found[NET + "max_connections"] == "100"
    assert "plugin.choria.network.write_deadline" not in found
    assert "hunter22" not in repr(found)
