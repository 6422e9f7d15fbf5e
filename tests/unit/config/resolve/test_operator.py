"""Operator mode: what a store means for the settings, and what cannot be combined with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from choria_broker.host.facts import FileFact
from choria_broker.host.files import read_store
from choria_broker.settings.finding_codes import Severity
from choria_broker.settings.operator import Operator
from support.nats_server import Signer
from support.scenario import NET, NOW, Result, base, net
from support.stores import WRITTEN_BY_NSC, Store, copy_of_nscs, resolved

SECONDS = int(NOW.timestamp())
OPERATOR = "operator_account = OPS"


def operator_of(found: Result) -> Operator:
    operator = found.ok.network.operator
    assert operator is not None
    return operator


def test_without_an_operator_there_is_none() -> None:
    assert net().ok.network.operator is None
    assert net("system_account = system").findings == ()


def test_the_store_that_nsc_wrote(tmp_path: Path) -> None:
    directory = copy_of_nscs(tmp_path)
    found = resolved(directory, "choria_account = FLEET")
    operator = operator_of(found)
    assert found.findings == ()
    assert (operator.name, operator.directory) == ("OPS", directory)
    assert [account.name for account in operator.accounts] == ["ACME", "FLEET", "GLOBEX", "SYS"]
    assert operator.system == operator.account("SYS")
    assert operator.choria == operator.account("FLEET")
    for account in operator.accounts:
        assert account.credentials == directory / "creds" / account.name / "broker.creds"
        assert account.token in (directory / "accounts" / account.name / f"{account.name}.jwt").read_text()
        assert account.token not in repr(found.ok)


@pytest.mark.parametrize(
    ("line", "key"),
    [
        (f"client_signer_cert = {'a' * 64}", "client_signer_cert"),
        (f"server_signer_cert = {'a' * 64}", "server_signer_cert"),
        ("client_anon_tls = true", "client_anon_tls"),
        ("client_hosts = 192.0.2.1", "client_hosts"),
        ("deny_server_connections = true", "deny_server_connections"),
        ("unverified_account = EDGE", "unverified_account"),
        ("accounts = EDGE", "accounts"),
        ("system.user = system", "system.user"),
        ("system.password = s", "system.password"),
        ("provisioning.signer_cert = /tls/signer.pem", "provisioning.signer_cert"),
        ("provisioning.client_password = p", "provisioning.client_password"),
        ("provisioning.provisioner_without_token = true", "provisioning.provisioner_without_token"),
    ],
)
def test_who_may_connect_is_the_operators_to_say(store: Store, line: str, key: str) -> None:
    found = resolved(store.directory, line)
    conflicts = [finding for finding in found.findings if finding.code == "operator-conflict"]
    assert [(finding.severity, finding.key) for finding in conflicts] == [(Severity.REFUSE, NET + key)]
    assert NET + "operator_account" in conflicts[0].problem
    assert NET + key in conflicts[0].remedy
    assert found.settings is None


@pytest.mark.parametrize(
    "line",
    [
        "plugin.choria.security.request_signing_certificate = /tls/signer.pem",
        "plugin.security.issuer.names = choria",
    ],
)
def test_issuers_and_signers_of_other_settings_are_refused_too(store: Store, line: str) -> None:
    found = base(NET + OPERATOR, line, facts={"operator_store": read_store(store.directory)})
    assert found.one("operator-conflict").key == line.partition(" ")[0]


@pytest.mark.parametrize("line", ["deny_server_connections = false", "client_anon_tls = no", "client_hosts ="])
def test_what_is_off_is_no_conflict(store: Store, line: str) -> None:
    assert "operator-conflict" not in resolved(store.directory, line).codes()


def test_mappings_are_left_out(store: Store) -> None:
    found = resolved(store.directory, "mapping.names = a", "mapping.a.source = x", "mapping.a.destination = y")
    assert found.one("operator-mappings").severity is Severity.SKIP
    assert found.ok.network.mappings == ()


@pytest.mark.parametrize("name", ["../OPS", ".", "..", "a/b", ".hidden", "O\x07PS"])
def test_names_that_no_store_has(name: str) -> None:
    finding = net(f"operator_account = {name}").one("bad-operator")
    assert (finding.severity, finding.key) == (Severity.REFUSE, NET + "operator_account")


def spoil(store: Store) -> None:
    accounts = store.directory / "accounts"
    accounts.rename(store.directory / "elsewhere")
    accounts.touch()


BROKEN: dict[str, tuple[Callable[[Store], object], str]] = {
    "no store": (lambda store: store.directory.rename(store.directory.with_name("OTHER")), "no such file"),
    "no operator": (lambda store: (store.directory / "OPS.jwt").unlink(), "OPS.jwt: no such file"),
    "garbage": (lambda store: (store.directory / "OPS.jwt").write_text("x"), "OPS.jwt: not a NATS token"),
    "expired": (lambda store: store.operator(exp=SECONDS - 1), "OPS.jwt: the operator has expired"),
    "a stranger's": (lambda store: store.operator(Signer("operator")), "OPS.jwt: not signed by the operator"),
    "a file in place of a directory": (spoil, "not a directory"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_operators_that_cannot_be_used_are_refused_with_the_file(store: Store, name: str) -> None:
    break_it, told = BROKEN[name]
    break_it(store)
    finding = resolved(store.directory).one("bad-operator")
    assert finding.severity is Severity.REFUSE
    assert told in finding.problem
    assert str(store.directory) in finding.problem


@pytest.mark.parametrize(
    ("lines", "severity"),
    [
        (["system_account = SYS"], None),
        (["system_account = {key}"], None),
        ([], None),
        (["system_account = ACME"], Severity.REFUSE),
        (["system_account = NOBODY"], Severity.REFUSE),
        (["system_account = system"], Severity.REFUSE),
        (["system_account = AAAA"], Severity.REFUSE),
    ],
)
def test_the_system_account(store: Store, lines: list[str], severity: Severity | None) -> None:
    found = resolved(store.directory, *(line.replace("{key}", store.public("SYS")) for line in lines))
    if severity is None:
        system = operator_of(found).system
        assert found.findings == ()
        assert system is not None
        assert system.key == store.public("SYS")
    else:
        finding = found.one("bad-system-account")
        assert (finding.severity, finding.key) == (severity, NET + "system_account")
        assert str(store.directory) in finding.problem


def test_the_system_account_that_the_operator_names_must_be_there(store: Store) -> None:
    store.remove("SYS")
    found = resolved(store.directory)
    assert found.one("bad-system-account").key == NET + "operator_account"
    assert found.settings is None


def test_a_system_account_that_cannot_be_used_is_named_with_its_file(store: Store) -> None:
    store.file("SYS").write_text("x")
    found = resolved(store.directory, "system_account = SYS")
    assert str(store.file("SYS")) in found.one("bad-system-account").problem
    assert str(store.file("SYS")) in found.one("bad-operator-account").problem


def test_an_operator_need_not_have_a_system_account(store: Store) -> None:
    store.operator()
    found = resolved(store.directory)
    assert found.one("no-system-account").severity is Severity.INFO
    assert operator_of(found).system is None
    found = resolved(store.directory, "system_account = ACME")
    assert operator_of(found).system == operator_of(found).account(store.public("ACME"))


def test_one_bad_account_among_many_is_left_out(store: Store) -> None:
    store.account("GLOBEX", Signer("operator"))
    store.account("LATE", exp=SECONDS - 1)
    store.file("EMPTY").parent.mkdir()
    found = resolved(store.directory)
    assert [account.name for account in operator_of(found).accounts] == ["ACME", "SYS"]
    bad = [finding for finding in found.findings if finding.code == "bad-operator-account"]
    assert {finding.severity for finding in bad} == {Severity.SKIP}
    for name, told in (("GLOBEX", "not signed by the operator"), ("LATE", "expired"), ("EMPTY", "no such file")):
        (finding,) = [each for each in bad if str(store.file(name)) in each.problem]
        assert told in finding.problem
        assert finding.effect == f"account {name} is not served"
    assert found.codes() == ["bad-operator-account"] * 3


def test_two_accounts_with_one_key(store: Store) -> None:
    copy = store.file("ACME").read_text()
    store.file("COPY").parent.mkdir()
    store.file("COPY").write_text(copy)
    assert "another name" in resolved(store.directory).one("bad-operator-account").problem


def test_a_store_without_a_good_account(store: Store) -> None:
    store.operator()
    for name in ("SYS", "ACME", "GLOBEX"):
        store.remove(name)
    found = resolved(store.directory)
    assert found.one("no-accounts").severity is Severity.WARN
    assert operator_of(found).accounts == ()


def test_an_account_for_later_is_served_with_a_warning(store: Store) -> None:
    store.account("ACME", nbf=SECONDS + 3600)
    found = resolved(store.directory)
    assert found.one("early-operator-account").severity is Severity.WARN
    assert operator_of(found).account("ACME")


def test_the_first_credentials_file_that_can_be_used_counts(store: Store) -> None:
    good = store.credentials("ACME")
    first, second = good.with_name("a.creds"), good.with_name("b.creds")
    first.write_text("nothing")
    good.rename(second)
    good.with_name("c.txt").write_text("not looked at")
    found = resolved(store.directory)
    account = operator_of(found).account("ACME")
    assert account is not None
    assert account.credentials == second
    finding = found.one("bad-account-credentials")
    assert (finding.severity, str(first) in finding.problem) == (Severity.WARN, True)


def test_credentials_of_another_account_are_not_used(store: Store) -> None:
    file = store.credentials("ACME")
    other = store.directory / "creds" / "GLOBEX" / "broker.creds"
    other.parent.mkdir()
    file.rename(other)
    found = resolved(store.directory)
    assert "its user does not belong to this account" in found.one("bad-account-credentials").problem
    account = operator_of(found).account("GLOBEX")
    assert account is not None
    assert account.credentials is None


@pytest.mark.parametrize(
    ("lines", "codes"),
    [
        ([], []),
        (["choria_account = ACME"], []),
        (["stream.store = /var/lib/streams"], ["streams-without-account"]),
        (["stream.store = /var/lib/streams", "choria_account = ACME"], []),
        (["stream.store = /var/lib/streams", "choria_account = GLOBEX"], ["no-account-credentials"]),
        (["stream.store = /var/lib/streams", "choria_account = NOBODY"], ["unknown-choria-account"]),
        (["choria_account = NOBODY"], ["unknown-choria-account"]),
    ],
)
def test_the_account_of_streams(store: Store, lines: list[str], codes: list[str]) -> None:
    store.credentials("ACME")
    found = resolved(store.directory, *lines)
    assert found.codes() == codes
    assert found.settings is not None
    severities = {"streams-without-account": Severity.INFO, "no-account-credentials": Severity.WARN}
    for code in codes:
        assert found.one(code).severity is severities.get(code, Severity.SKIP)


@pytest.mark.parametrize("system", [(), ("system_account = SYS",), ("system_account = {key}",)])
@pytest.mark.parametrize("choria", ["SYS", "{key}"])
def test_the_system_account_has_no_streams(store: Store, system: tuple[str, ...], choria: str) -> None:
    store.credentials("SYS")
    lines = ("stream.store = /var/lib/streams", f"choria_account = {choria}", *system)
    found = resolved(store.directory, *(line.replace("{key}", store.public("SYS")) for line in lines))
    finding = found.one("choria-account-is-system")
    assert (finding.severity, finding.key) == (Severity.SKIP, NET + "choria_account")
    assert operator_of(found).choria is None
    assert found.codes() == ["choria-account-is-system"]


OPENED: dict[str, Callable[[Store], Path]] = {
    "directory": lambda store: store.directory,
    "operator": lambda store: store.directory / "OPS.jwt",
    "accounts": lambda store: store.directory / "accounts",
}


@pytest.mark.parametrize("mode", [0o020, 0o002])
@pytest.mark.parametrize("name", OPENED)
def test_a_store_that_others_may_change_draws_a_warning(store: Store, name: str, mode: int) -> None:
    before = resolved(store.directory)
    path = OPENED[name](store)
    path.chmod(path.stat().st_mode | mode)
    finding = resolved(store.directory).one("open-operator-store")
    assert (finding.severity, finding.key) == (Severity.WARN, NET + "operator_account")
    assert finding.problem == f"group or others may write to {path}"
    assert before.reloaded(operator_store=read_store(store.directory)).codes() == ["open-operator-store"]


def test_all_that_others_may_change_is_told_once(store: Store) -> None:
    paths = [find(store) for find in OPENED.values()]
    for path in paths:
        path.chmod(path.stat().st_mode | 0o022)
    assert [str(path) in resolved(store.directory).one("open-operator-store").problem for path in paths] == [True] * 3


def test_streams_need_a_system_account(store: Store) -> None:
    store.operator()
    found = resolved(store.directory, "stream.store = /var/lib/streams")
    assert found.one("streams-without-system-account").severity is Severity.REFUSE


REMOTE = ("leafnode_remotes = HQ", "leafnode_remote.HQ.url = hq.example.net:7422", "gateway_name = SITE")


@pytest.mark.parametrize(
    ("lines", "account"),
    [
        (["leafnode_remote.HQ.account = GLOBEX"], "GLOBEX"),
        (["leafnode_remote.HQ.account = {GLOBEX}", "choria_account = ACME"], "GLOBEX"),
        (["choria_account = {ACME}"], "ACME"),
        ([], ""),
        (["leafnode_remote.HQ.account = choria"], ""),
        (["leafnode_remote.HQ.account = NOBODY", "choria_account = ACME"], ""),
    ],
)
def test_accounts_of_leafnode_remotes(store: Store, lines: list[str], account: str) -> None:
    keys = {name: store.public(name) for name in ("ACME", "GLOBEX")}
    found = resolved(store.directory, *REMOTE, *(line.format(**keys) for line in lines))
    bound = [remote.account for remote in found.ok.network.leafnodes.remotes]
    assert bound == ([keys[account]] if account else [])
    if not account:
        finding = found.one("unknown-account")
        assert (finding.severity, finding.key) == (Severity.SKIP, NET + "leafnode_remote.HQ.account")


def test_leafnodes_of_an_operator_need_no_certificates(store: Store) -> None:
    fact = {"operator_store": read_store(store.directory)}
    lines = (NET + "leafnode_port = 7422", "plugin.security.server_anon_tls = true")
    assert "leafnodes-without-certificates" in base(*lines).codes()
    assert "leafnodes-without-certificates" not in base(NET + OPERATOR, *lines, facts=fact).codes()


def test_settings_of_operators_without_one() -> None:
    assert net("system_account = SYS").one("system-account-without-operator").severity is Severity.REFUSE
    assert net("choria_account = FLEET").one("no-effect").severity is Severity.WARN


def test_the_facts_of_a_store_show_no_secret() -> None:
    fact = read_store(WRITTEN_BY_NSC)
    assert all(isinstance(file, FileFact) for files in fact.credentials.values() for file in files.values())
    assert "eyJ" not in repr(fact)
    assert "SEED" not in repr(fact)
