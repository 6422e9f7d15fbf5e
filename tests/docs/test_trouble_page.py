"""Every line of the page about trouble is held by tests that exist, and every test of a fault is of a line there."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from support.pages import ROOT, rows

PAGE = ROOT / "docs/explanation/trouble.md"
TESTS = ROOT / "tests/integration"
ENGINE = ROOT / "engine"

HELD = {
    "the engine is killed, crashes, or runs out of memory": [
        "test_faults_processes.py::test_an_engine_that_dies_at_work_takes_all_along_and_the_next_start_works",
        "test_command.py::test_a_killed_engine_ends_the_program_with_its_last_lines",
        "test_streams_survival.py::test_a_killed_engine_ends_the_broker_and_everything_is_there_afterwards",
    ],
    "the engine hangs": [
        "test_faults_processes.py::test_while_the_engine_stands_still_the_broker_says_so_and_afterwards_all_is_as_before",
        "test_faults_processes.py::test_the_service_manager_is_told_that_the_engine_does_not_answer",
    ],
    "another member, or the broker behind a gateway or leafnode, hangs": [
        "test_health.py::test_a_member_that_stands_still_is_noticed",
        "test_health.py::test_the_status_of_a_broker_that_stands_still_says_so",
    ],
    "the engine does not end when it is asked to": [
        "test_command.py::test_an_engine_that_does_not_stop_is_killed_after_the_dumps",
        "test_faults_gate.py::test_an_engine_that_breaks_the_protocol_and_heeds_nothing_is_killed",
    ],
    "the broker is killed, also by SIGKILL": [
        "test_faults_processes.py::test_a_broker_that_is_killed_at_work_takes_its_engine_along_and_the_next_start_works",
        "test_command.py::test_a_killed_program_takes_its_engine_along",
        "process_test.go::TestEngineDiesWithItsParent",
    ],
    "the broker hangs, for however long": [
        "test_stalls.py::test_while_the_broker_stands_still_only_newcomers_suffer",
        "gate_test.go::TestBrokerThatDoesNotReadIsOnlySlow",
    ],
    "the broker is slow": [
        "test_faults_processes.py::test_a_slow_broker_refuses_some_lets_nobody_in_unasked_and_recovers",
    ],
    "the broker is restarted with thousands of clients": [
        "test_faults_restart.py::test_all_clients_come_back_after_each_way_to_end",
        "test_faults_restart.py::test_who_has_gone_leaves_nothing_behind",
    ],
    "the engine closes the gate": [
        "test_faults_gate.py::test_an_engine_that_closes_the_gate_and_goes_on_is_ended",
        "test_faults_gate.py::test_the_program_says_so_and_fails",
    ],
    "the engine says what is not of the [protocol](../reference/gate-protocol.md)": [
        "test_faults_gate.py::test_garbage_of_the_engine_ends_both",
        "test_faults_gate.py::test_an_engine_that_asks_and_asks_and_takes_no_answer_fills_no_memory",
    ],
    "the broker says such things to the engine": [
        "test_faults_gate.py::test_garbage_of_the_broker_ends_the_engine_and_lets_nobody_in",
        "gate_test.go::TestProtocolErrorsEndTheGate",
    ],
    "the disk of the log": [
        "test_faults_disk.py::test_a_log_on_a_full_disk_stops_nothing_and_goes_on_when_there_is_room",
        "test_library_lines.py::test_a_full_disk_of_the_log_is_one_notice",
        "test_stalls.py::test_a_log_that_nobody_reads_holds_up_neither_answers_nor_the_end",
    ],
    "the run directory, at the start": [
        "test_faults_disk.py::test_a_run_directory_without_room_stops_the_start_and_is_named",
    ],
    "the run directory, while it runs": [
        "test_faults_disk.py::test_a_run_directory_that_fills_up_keeps_everything_as_it_is_until_there_is_room",
        "test_adversary_reload.py::test_a_full_disk_does_not_keep_later_reloads_from_working",
    ],
    "the file for the process id": [
        "test_faults_disk.py::test_a_process_id_on_a_full_disk_stops_the_start_and_leaves_nothing",
    ],
    "the temporary directory, on SIGQUIT": [
        "test_faults_disk.py::test_a_dump_on_a_full_disk_is_told_and_stops_nothing",
    ],
    "the store of Choria Streams": [
        "test_streams_survival.py::test_a_full_disk_stops_the_stream_that_meets_it_and_no_other",
        "test_streams_survival.py::test_a_disk_that_is_full_at_the_start_costs_no_stream",
        "test_health.py::test_a_full_disk_of_one_member_is_told_by_the_other_with_streams_and_member",
    ],
    "another member is stopped, or its process killed": [
        "test_health.py::test_the_loss_of_a_member_and_its_return_are_told_in_log_metrics_and_status",
        "test_status_pages.py::test_links_that_stand_and_links_that_do_not",
        "test_status_pages.py::test_links_and_streams_are_known_without_a_statistics_port",
    ],
    "a member has another password for the cluster": [
        "test_clusters.py::test_a_wrong_password_is_refused_and_seen_on_both_sides",
    ],
    "a member has a certificate of another CA, one whose names are not listed, or no TLS": [
        "test_clusters.py::test_a_stranger_gets_no_route",
        "test_first_words.py::test_peers_that_refuse_an_expired_certificate_are_told_in_words_of_our_own",
    ],
    "the certificate of another broker is revoked": [
        "test_revocation.py::test_links_of_revoked_brokers_end_and_do_not_come_back",
    ],
    "somebody goes, and nobody knows why": [
        "test_sessions.py::test_why_somebody_went_has_a_line_and_an_answer",
    ],
    "a program uses a subject that it may not": [
        "test_denied.py::test_a_denied_subject_says_who_what_is_lacking_and_how_often",
    ],
    "nodes wait for provisioning and no provisioner is there": [
        "test_provisioning.py::test_one_provisioner_is_enough_for_a_cluster",
    ],
    "connections, open files, memory or store run short": [
        "test_headroom.py::test_connections_run_short",
    ],
    "name servers do not answer at the start": [
        "test_faults_dns.py::test_nobody_waits_long_for_names_that_nobody_answers_for",
        "test_cluster_discovery.py::test_a_silent_name_server_holds_a_program_up_for_a_bounded_time",
    ],
    "name servers do not answer later": [
        "test_faults_dns.py::test_nobody_waits_long_for_names_that_nobody_answers_for",
        "names_test.go::TestTheEndCutsLookupsShort",
    ],
    "its own certificate, or the CA's, expires while it runs": [
        "test_faults_certificates.py::test_a_certificate_that_ends_keeps_others_out_until_it_is_renewed",
        "test_faults_certificates.py::test_a_ca_that_ends_keeps_others_out_until_it_is_renewed",
        "test_faults_clock.py::test_a_broker_whose_own_certificate_expires_says_so_and_takes_a_new_one",
    ],
    "a client's certificate expires while it is connected": [
        "test_faults_clock.py::test_a_certificate_that_expires_meanwhile_opens_nothing_more",
    ],
    "files are damaged, cut off, swapped, expired or of another CA": [
        "test_faults_certificates.py::test_broken_files_change_nothing_until_they_are_whole",
        "test_rotation.py::test_what_is_broken_changes_nothing_and_is_named",
    ],
    "a token or user of an operator expires while it is connected": [
        "test_faults_clock.py::test_a_user_of_an_operator_whose_token_expires_is_ended_by_the_engine",
    ],
    "the clock is set forward or back": [
        "test_faults_clock.py::test_a_clock_that_is_set_lets_nobody_in_and_throws_nobody_out",
        "test_faults_clock.py::test_a_set_clock_is_no_engine_that_does_not_answer",
    ],
    "somebody sends garbage to a port, before or after logging in": [
        "test_faults_peers.py::test_garbage_on_every_port_and_socket_ends_there",
        "test_faults_peers.py::test_garbage_of_somebody_who_is_in_ends_that_connection_only",
        "test_library_lines.py::test_malformed_requests_of_all_kinds_cost_the_log_a_few_short_lines",
        "test_engine_lines.py::test_a_flood_of_attempts_is_a_few_lines",
    ],
    "somebody is slow with TLS or the login, byte by byte, or half closed": [
        "test_faults_peers.py::test_slow_handshakes_end_in_time_and_keep_nobody_waiting",
        "doors_test.go::TestStrangersEndInTime",
    ],
    "a [key process](../how-to/secure.md#the-private-key) ends": [
        "test_key_processes.py::test_handshakes_go_on_while_key_processes_are_killed",
        "keyprocesses_test.go::TestWhatAProcessTookWhenItEndedIsAskedForOnceMore",
    ],
    "a client does not read what it subscribed to": [
        "test_faults_peers.py::test_who_does_not_read_is_let_go_and_others_get_all",
    ],
    "thousands of connections never log in, or guess passwords": [
        "test_floods.py::test_strangers_fill_no_memory_and_keep_nobody_out",
        "test_strangers.py::test_a_crowd_on_every_listener_keeps_nobody_out_and_is_told",
        "test_guessing.py::test_guessers_get_few_answers_and_others_all",
    ],
}
"""The tests that hold a line of the page, by its first cell."""


def cases_in(path: Path) -> set[str]:
    """List the tests of a module, or of a file of the engine's."""
    if path.suffix == ".go":
        lines = path.read_text(encoding="utf-8").splitlines()
        return {line.removeprefix("func ").partition("(")[0] for line in lines if line.startswith("func Test")}
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = (each for each in tree.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef))
    return {each.name for each in functions if each.name.startswith("test_")}


def test_every_line_is_held() -> None:
    assert [row[0] for row in rows(PAGE)] == list(HELD)


@pytest.mark.parametrize("named", sorted({test for tests in HELD.values() for test in tests}))
def test_the_tests_exist(named: str) -> None:
    file, _, name = named.partition("::")
    assert name in cases_in((ENGINE if file.endswith(".go") else TESTS) / file)


def test_every_test_of_a_fault_is_of_a_line() -> None:
    named = {test for tests in HELD.values() for test in tests}
    found = {f"{path.name}::{name}" for path in TESTS.glob("test_faults_*.py") for name in cases_in(path)}
    assert found <= named
