"""Which settings stand behind rules."""

from __future__ import annotations

import pytest

from choria_broker.access.behind import BEHIND
from choria_broker.access.explain import HANDSHAKE
from choria_broker.access.rules import RULES
from choria_broker.config.table.rows import SETTINGS


@pytest.mark.parametrize("rule", BEHIND)
def test_rules_and_settings_are_those_that_there_are(rule: str) -> None:
    assert rule in RULES or rule == HANDSHAKE.name
    for key in BEHIND[rule]:
        assert SETTINGS.find(key), key


def test_a_rule_that_names_a_setting_has_it_behind_itself() -> None:
    for name, rule in RULES.items():
        for key in BEHIND.get(name, ()):
            assert key.startswith("plugin."), rule
        named = [
            key for key in ("client_hosts", "deny_server_connections", "unverified_account") if key in rule.sentence
        ]
        assert all(any(key.endswith(one) for key in BEHIND[name]) for one in named), name
