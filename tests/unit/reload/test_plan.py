"""What it takes to come from one state to another."""

from __future__ import annotations

from pathlib import Path

import pytest

from choria_broker.config.load import Basis
from choria_broker.config.surroundings.facts import Facts, Overrides
from choria_broker.config.table.schema import Apply
from choria_broker.config.text.syntax import Document
from choria_broker.host.facts import FileFact, Mark
from choria_broker.reload.desired import Desired, desire
from choria_broker.reload.plan import (
    Difference,
    changed_settings,
    pending,
    pending_restarts,
    plan,
    setbacks,
    while_running,
)
from choria_broker.security.keys import ed25519_verifies
from choria_broker.settings.finding_codes import Code, Severity
from choria_broker.settings.findings import DEFAULT, Finding, known
from choria_broker.values import replace
from support.scenario import NET, NOW, net


def state(*lines: str, wanted: tuple[str, ...] | None = None) -> Desired:
    """Make the state that keys of the network broker describe, with others in the files by now."""
    found = net(*lines)
    files = None if wanted is None else net(*wanted).ok
    return desire(found.ok, found.findings, ed25519_verifies, generation=1, wanted=files)


def test_the_start_takes_everything() -> None:
    found = plan(None, state())
    assert (found.changes, found.pending) == ((), ())


def test_the_same_again_takes_nothing() -> None:
    found = plan(state("max_connections = 100"), state("max_connections = 100"))
    assert (found.changes, found.pending) == ((), ())


def test_a_default_that_is_written_out_is_no_change() -> None:
    assert plan(state(), state("write_deadline = 5s")).changes == ()


@pytest.mark.parametrize(
    ("old", "new", "apply"),
    [
        ("client_hosts = 10.0.0.0/8", "client_hosts = 10.1.0.0/16", Apply.LIVE),
        ("max_connections = 100", "max_connections = 200", Apply.ENGINE),
    ],
)
def test_changes(old: str, new: str, apply: Apply) -> None:
    after = state(new)
    found = plan(state(old), after)
    key = NET + old.partition(" = ")[0]
    texts = (old.partition(" = ")[2], new.partition(" = ")[2])
    assert found.changes == (Difference(key, apply, *texts, after.settings.origin(key)),)
    assert found.pending == ()


def test_what_only_a_restart_changes_is_pending() -> None:
    after = state(wanted=("websocket_port = 4333",))
    found = plan(state(), after)
    key = NET + "websocket_port"
    origin = after.wanted.origin(key)
    assert origin.line > 0
    assert found.pending == pending(after) == (Difference(key, Apply.RESTART, "", "4333", origin),)
    assert found.changes == ()


def test_no_password_is_told() -> None:
    old, new = (state("system.user = root", f"system.password = {password}") for password in ("first", "second"))
    (found,) = plan(old, new).changes
    assert found.key == NET + "system.password"
    assert "first" not in repr(found)
    assert "second" not in repr(found)


def test_a_setting_that_is_gone_from_the_files_is_pending_without_a_place() -> None:
    (found,) = pending(state("websocket_port = 4333", wanted=()))
    assert (found.old, found.new, found.origin) == ("4333", "", DEFAULT)


def test_nothing_is_pending_once_the_old_value_is_back() -> None:
    assert pending(state("websocket_port = 4333", wanted=("websocket_port = 4333",))) == ()


def test_no_password_is_told_of_what_is_pending() -> None:
    lines = ("peers = other.example.net:5222", "peer_port = 5222", "peer_user = bob")
    after = state(*lines, "peer_password = first", wanted=(*lines, "peer_password = second"))
    (found,) = pending(after)
    assert found.key == NET + "peer_password"
    assert "first" not in repr(found)
    assert "second" not in repr(found)


def skipped(problem: str, severity: Severity = Severity.SKIP) -> Finding:
    key = NET + "leafnode_remotes"
    return Finding(severity=severity, code=Code.TLS_NO_PEM, problem=problem, effect="left out", key=key)


def test_what_would_leave_out_more_than_before_is_refused() -> None:
    old, new, warned = skipped("no PEM"), skipped("cannot be read"), skipped("old", Severity.WARN)
    assert setbacks(known((old,)), (old, warned)) == ()
    (refused,) = setbacks(known((old,)), (old, new, warned))
    assert (refused.problem, refused.severity) == ("cannot be read", Severity.REFUSE)
    assert refused.effect == "nothing is changed"


def test_a_file_that_is_damaged_in_part_is_refused() -> None:
    found = [replace(skipped("cut", Severity.WARN), code=code) for code in (Code.TLS_BAD_PEM, Code.TLS_LEAF_IN_CA)]
    assert [each.severity for each in setbacks(frozenset(), tuple(found))] == [Severity.REFUSE, Severity.REFUSE]
    assert setbacks(known(tuple(found)), tuple(found)) == ()
    assert setbacks(frozenset(), (skipped("expires", Severity.WARN),)) == ()


def test_what_hangs_on_an_account_goes_with_it_and_files_do_not() -> None:
    account = replace(skipped("bad"), code=Code.BAD_OPERATOR_ACCOUNT)
    file, missing = skipped("cut"), replace(skipped("gone"), code=Code.REMOTE_FILE_MISSING)
    refused = setbacks(frozenset(), (account, file, missing), of_files_only=True)
    assert [each.problem for each in refused] == ["cut", "gone"]


def test_what_is_pending_is_told_with_its_place() -> None:
    (found,) = pending_restarts(pending(state(wanted=("websocket_port = 4333",))))
    assert (found.key, found.old, found.new) == (NET + "websocket_port", "", "4333")
    assert found.line > 0


PEERS = ("peers = a.example.net:5222, b.example.net:5222", "peer_port = 5222")


def test_the_first_peer_waits_for_a_restart_also_when_dns_names_it() -> None:
    (found,) = pending(state("peer_port = 5222", wanted=PEERS))
    assert (found.key, found.apply, found.old, found.new) == (NET + "peers", Apply.RESTART, "", PEERS[0][8:])
    # The same lines in the file, and other records.
    before = state("peer_port = 5222")
    named = replace(net(*PEERS).ok.network.cluster, source="_mcollective-broker._tcp.example.net")
    network = replace(before.settings.network, cluster=named)
    after = replace(before, wanted=replace(before.settings, network=network))
    (found,) = pending(after)
    assert (found.key, found.apply, found.old, found.new) == (NET + "peers", Apply.RESTART, "", PEERS[0][8:])
    assert str(found.origin) == "SRV record _mcollective-broker._tcp.example.net"


def test_files_and_stores_that_differ_are_told_although_no_setting_does(tmp_path: Path) -> None:
    before = state()
    assert before.files == {}
    assert before.groups == ()
    facts = Facts(tmp_path, NOW, files={Path("/a"): FileFact(b"1"), Path("/b"): FileFact(b"2")})
    basis = Basis(Document(), facts, {}, Overrides())
    old = replace(before, basis=basis)
    files = {Path("/a"): FileFact(b"1", mark=Mark(1, 2, 3, 4, 5)), Path("/b"): FileFact(b"3"), Path("/c"): FileFact()}
    basis = replace(basis, facts=replace(facts, files=files))
    new = replace(before, basis=basis)
    found = plan(old, new)
    assert (found.files, found.result) == ((Path("/b"),), "applied")
    assert plan(new, new).result == "unchanged"
    cluster = replace(before.settings.network.cluster, source="x")
    network = replace(before.settings.network, cluster=cluster)
    other = replace(before, settings=replace(before.settings, network=network))
    assert plan(before, replace(other, wanted=other.settings)).others == ("the peers' addresses",)


def test_changes_are_told_with_their_class() -> None:
    (found,) = changed_settings(plan(state(), state("client_hosts = 10.0.0.0/8")).changes)
    assert (found.key, found.apply, found.old, found.new) == (NET + "client_hosts", "live", "", "10.0.0.0/8")


def test_keys_that_are_not_the_brokers_are_never_pending() -> None:
    assert pending(state(wanted=("websocket_prt = 4333",))) == ()


def test_what_would_keep_a_broker_from_starting_is_said_of_one_that_runs() -> None:
    refusal = Finding(severity=Severity.REFUSE, code=Code.BAD_VALUE, problem="wrong", remedy="right")
    warning = replace(refusal, severity=Severity.WARN)
    found = while_running((refusal, warning))
    assert [each.effect for each in found] == [
        "nothing is changed, and the broker would not start",
        "the broker does not start",
    ]
