"""The engine's configuration in operator mode."""

from __future__ import annotations

from choria_broker.engine.conf.render import render
from choria_broker.host.files import read_store
from choria_broker.settings.broker import Settings
from choria_broker.values import replace
from support.scenario import NET, base
from support.stores import WRITTEN_BY_NSC


def settings(*lines: str) -> Settings:
    facts = {"operator_store": read_store(WRITTEN_BY_NSC)}
    return base(*(NET + line for line in ("operator_account = OPS", *lines)), facts=facts).ok


def test_the_file_has_the_operator_and_its_accounts_and_no_others() -> None:
    made = settings()
    operator = made.network.operator
    assert operator is not None
    lines = [line.strip() for line in render(made).text.splitlines()]
    assert f'operator: "{operator.token}"' in lines
    assert 'resolver: "MEMORY"' in lines
    assert operator.system is not None
    assert f'system_account: "{operator.system.key}"' in lines
    for account in operator.accounts:
        assert f'{account.key}: "{account.token}"' in lines
    assert not [line for line in lines if line.startswith(("accounts", "mappings"))]


def test_people_are_shown_names_in_place_of_tokens() -> None:
    shown = render(settings()).masked
    assert "eyJ" not in shown
    for name in ("OPS", "SYS", "ACME", "GLOBEX", "FLEET"):
        assert f'"token of {name}"' in shown


def test_without_a_system_account_the_file_names_none() -> None:
    made = settings()
    assert made.network.operator is not None
    without = replace(made.network.operator, system=None)
    network = replace(made.network, operator=without)
    assert "system_account" not in render(replace(made, network=network)).text


def test_everything_else_is_as_without_an_operator() -> None:
    lines = (
        "websocket_port = 4333",
        "leafnode_port = 7422",
        "stream.store = /var/lib/streams",
        "peers = a:5222, b:5222",
    )
    with_operator = render(settings(*lines)).text
    without = render(base(*(NET + line for line in lines)).ok).text

    def common(text: str) -> list[str]:
        return text.partition("system_account")[0].partition("operator:")[0].splitlines()

    assert common(with_operator) == common(without)
    assert with_operator.splitlines()[-3:] == without.splitlines()[-3:]
