"""What is served, told to the next program."""

from __future__ import annotations

from pathlib import Path

import msgspec

from choria_broker.config.held import hold
from choria_broker.config.table.schema import Apply
from choria_broker.config.text.syntax import Document
from choria_broker.host.succession import Succession
from choria_broker.settings.broker import Statistics
from choria_broker.settings.findings import Origin
from choria_broker.settings.network import Network
from choria_broker.settings.operator import Operator, OperatorAccount
from choria_broker.settings.revocation import Authority, Crl, Entry, EntryKind, Revocation
from choria_broker.settings.served import Served
from choria_broker.upgrade.served import Before, recall, remember
from choria_broker.values import replace
from support.ready_settings import settings
from support.scenario import net


def passed_on(succession: Succession) -> Succession:
    return Succession.unpacked(succession.packed())


def test_what_only_a_restart_changes_is_held_by_the_next_program_as_by_this_one() -> None:
    found = net("client_port = 5222", "max_connections = 100")
    succession = Succession()
    remember(succession, found.ok, found.findings)

    told = recall(passed_on(succession))

    assert told is not None
    assert told.source == found.ok.source
    assert told.identity == found.ok.identity
    held = hold(Document(()), told, Apply.RESTART)
    assert held == hold(Document(()), Served.of(found.ok), Apply.RESTART)
    assert "5222" in {entry.value for entry in held.entries}
    assert told.known == {(str(each.code), each.key, each.problem) for each in found.findings}


def test_where_it_listens_stays_known() -> None:
    statistics = Statistics(address="localhost", port=8222, addresses=("127.0.0.1", "::1"))
    served = replace(settings(Network(listen_address="192.0.2.7")), statistics=statistics)
    succession = Succession()
    remember(succession, served, ())

    told = recall(passed_on(succession))

    assert told is not None
    assert told.listen_address == "192.0.2.7"
    assert told.statistics == statistics


def test_everything_stays_known_that_a_reload_knows() -> None:
    found = net(
        "peers = a.example.net:5222, b.example.net:5222, broker1.example.net:5222",
        "peer_user = bob",
        "peer_password = hush",
    ).ok
    listed = Crl("CN=ca", "aa", Path("/crl.pem"), 1.0, 2, serials=frozenset({"b", "c"}))
    entries = (Entry(EntryKind.CERTIFICATE, "0a", Origin("/revoked", 3), issuer=("cn", "ca")),)
    authorities = (Authority("ff", "aa", ("CN=ca",)),)
    revocation = Revocation(crls=(listed,), file=Path("/revoked"), entries=entries, authorities=authorities)
    found = replace(found, network=replace(found.network, revocation=revocation))
    succession = Succession()
    remember(succession, found, ())

    told = recall(passed_on(succession))

    assert told is not None
    assert found.network.cluster.joined
    assert told == Before(**msgspec.structs.asdict(Served.of(found)), known=frozenset())


def test_what_an_older_program_did_not_tell_is_not_known() -> None:
    succession = Succession()
    told = msgspec.structs.asdict(Served.of(net().ok))
    succession.tell("served", {name: value for name, value in told.items() if name not in {"cluster", "revocation"}})

    before = recall(passed_on(succession))

    assert before is not None
    assert (before.cluster, before.revocation, before.known) == (None, None, frozenset())


def test_signers_and_accounts_stay_known() -> None:
    account = OperatorAccount(name="app", key="A1", token="t", credentials=Path("/creds/app"))
    operator = Operator(name="op", directory=Path("/op"), token="o", accounts=(account,), choria=account)
    served = replace(settings(Network(operator=operator)), signer_files={"/key": b"\x00\xff", "/gone": None})
    succession = Succession()
    remember(succession, served, ())

    told = recall(passed_on(succession))

    assert told is not None
    assert told.signer_files == served.signer_files
    assert told.operator == operator


def test_secrets_are_not_in_its_text() -> None:
    found = net("provisioning.client_password = hush-hush")
    succession = Succession()
    remember(succession, found.ok, ())
    told = recall(passed_on(succession))

    assert told is not None
    assert "hush-hush" in told.raw.values()
    assert "hush" not in repr(told)


def test_nothing_was_told() -> None:
    assert recall(Succession()) is None
