"""Operator mode at a reload: the store is read again, and what turned bad stays as it is served."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from choria_broker.host.files import read_store
from choria_broker.settings.broker import Settings
from choria_broker.settings.finding_codes import Severity
from choria_broker.values import replace
from support.nats_server import Signer
from support.scenario import NET, NOW, Result
from support.stores import Store, copy_of_nscs, resolved

SECONDS = int(NOW.timestamp())
REMOTE = ("leafnode_remotes = HQ", "leafnode_remote.HQ.url = hq.example.net:7422", "gateway_name = SITE")


def renewed(served: Result, store: Path) -> Result:
    return served.reloaded(operator_store=read_store(store))


def served(settings: Settings | None) -> dict[str, str]:
    assert settings is not None
    assert settings.network.operator is not None
    return {account.name: account.token for account in settings.network.operator.accounts}


def test_a_reload_reads_the_store_and_nothing_else(store: Store) -> None:
    before = resolved(store.directory, "choria_account = ACME", "system_account = SYS")
    settings = before.ok
    store.account("NEW")
    store.account("ACME", limits={"conn": 5})
    store.remove("GLOBEX")
    after = renewed(before, store.directory)
    found = after.ok
    assert after.findings == ()
    assert set(served(found)) == {"SYS", "ACME", "NEW"}
    assert served(found)["ACME"] != served(settings)["ACME"]
    assert found.network.operator is not None
    assert found.network.operator.choria == found.network.operator.account("ACME")
    assert found.network.operator.system == found.network.operator.account("SYS")
    assert replace(found, network=settings.network) == settings


def test_at_a_reload_a_bad_file_leaves_its_account_as_it_is(store: Store) -> None:
    before = resolved(store.directory)
    store.account("GLOBEX", Signer("operator"))
    after = renewed(before, store.directory)
    assert served(after.settings) == served(before.settings)
    assert [finding.effect for finding in after.findings] == ["account GLOBEX stays unchanged"]


def test_after_a_reload_it_is_still_told_that_the_broker_has_no_account(store: Store) -> None:
    found = resolved(store.directory, "choria_account = NOBODY")
    assert renewed(found, store.directory).codes() == ["unknown-choria-account"]


def test_at_a_reload_an_expired_account_goes(store: Store) -> None:
    before = resolved(store.directory)
    store.account("GLOBEX", exp=SECONDS - 1)
    assert set(served(renewed(before, store.directory).settings)) == {"SYS", "ACME"}


def test_an_account_of_a_remote_that_is_gone_takes_the_remote_along(store: Store) -> None:
    before = resolved(store.directory, *REMOTE, "leafnode_remote.HQ.account = GLOBEX")
    store.remove("GLOBEX")
    after = renewed(before, store.directory)
    assert after.ok.network.leafnodes.remotes == ()
    assert [(finding.code, finding.key) for finding in after.findings] == [
        ("unknown-account", NET + "leafnode_remote.HQ.account")
    ]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda store: store.operator(exp=SECONDS - 1), "bad-operator"),
        (lambda store: store.operator(signing_keys=[Signer("operator").public]), "operator-changed"),
        (lambda store: store.remove("SYS"), "bad-system-account"),
    ],
)
def test_reloads_that_are_refused(store: Store, change: Callable[[Store], None], code: str) -> None:
    before = resolved(store.directory)
    change(store)
    after = renewed(before, store.directory)
    assert after.settings is None
    assert code in after.codes(Severity.REFUSE)


def test_a_gateway_in_clear_text_beside_others_is_no_reason_against_a_reload(store: Store) -> None:
    lines = ("gateway_port = 7222", "gateway_remotes = OLD", "gateway_remote.OLD.urls = old:7222")
    clear = (*lines, "gateway_remote.OLD.tls.disable = yes")
    assert renewed(resolved(store.directory, *clear), store.directory).settings


def test_a_reload_reads_the_directory_again(tmp_path: Path) -> None:
    directory = copy_of_nscs(tmp_path)
    before = resolved(directory)
    (directory / "accounts" / "ACME" / "ACME.jwt").unlink()
    (directory / "accounts" / "ACME").rmdir()
    assert set(served(renewed(before, directory).settings)) == {"SYS", "FLEET", "GLOBEX"}
