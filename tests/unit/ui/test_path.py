"""The way to a decision."""

from __future__ import annotations

from choria_broker.access.rules import RULES
from choria_broker.access.verdict import Step
from choria_broker.ui.path import Behind, behind, path
from support.dashboard import settings_of

STEPS = (Step("tls-required", "passed"), Step("certificate-required", "refused: it has neither"))


def test_the_last_rule_is_the_one_that_decided() -> None:
    stops = path(STEPS, settings_of(), allowed=False, rule="certificate-required")
    assert [(each.rule, each.state, each.outcome) for each in stops] == [
        ("tls-required", "passed", "passed"),
        ("certificate-required", "refused", "it has neither"),
    ]
    assert stops[1].says == RULES["certificate-required"].sentence
    assert path((Step("mtls", "accepted"),), settings_of(), allowed=True, rule="mtls")[0].state == "accepted"


def test_a_rule_before_all_rules_and_one_of_another_version_are_told_too() -> None:
    handshake, unknown = path(
        (Step("tls-handshake", "refused: x"), Step("new-rule", "y")), settings_of(), allowed=False, rule="z"
    )
    assert "handshake" in handshake.says
    assert (unknown.says, unknown.state, unknown.settings) == ("", "passed", ())


def test_settings_behind_a_rule_have_their_places() -> None:
    found = behind("certificate-required", settings_of(plugin__security__file__ca=12))
    assert found == (Behind("plugin.security.file.ca", "/etc/choria/broker.conf:12"),)


def test_settings_that_nobody_has_set_are_named_where_no_other_is() -> None:
    found = behind("revoked-certificate", settings_of())
    assert [(each.key, each.place) for each in found] == [
        ("plugin.choria.network.crl", ""),
        ("plugin.choria.network.revocations", ""),
    ]
