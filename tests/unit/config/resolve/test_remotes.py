"""Remotes of gateways and leafnodes: their addresses, and TLS of their own."""

from __future__ import annotations

import datetime as dt

import pytest

from choria_broker.config.surroundings.facts import Overrides
from choria_broker.host.facts import FileFact
from choria_broker.settings.endpoint import Endpoint
from choria_broker.settings.finding_codes import Severity
from support.scenario import NET, base, net, pems

MISSING = FileFact(problem="no such file or directory")
GATEWAY = ["gateway_port = 7222", "gateway_remotes = x", "gateway_remote.x.urls = a:1"]
LEAFNODE = ["leafnode_remotes = x", "leafnode_remote.x.url = a:1"]


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (["gateway_port = 7222", "gateway_remotes = x"], "remote-without-url"),
        ([*GATEWAY, "gateway_remote.x.urls = a"], "bad-url"),
        ([*GATEWAY, "gateway_remote.x.tls.cert = /x/cert.pem"], "remote-half-identity"),
        ([*GATEWAY, "gateway_remote.x.tls.key = /x/key.pem"], "remote-half-identity"),
        ([*GATEWAY, "gateway_remote.x.tls.ca = /missing"], "remote-file-missing"),
        ([*GATEWAY, "gateway_remote.x.tls.ca = /empty"], "tls-no-pem"),
        ([*GATEWAY, "gateway_remote.x.tls.cert = /other", "gateway_remote.x.tls.key = /key.pem"], "tls-key-mismatch"),
        ([*GATEWAY, "gateway_remote.x.tls.ca = /missing", "gateway_remote.x.tls.disable = yes"], "remote-file-missing"),
        (["leafnode_remotes = x"], "remote-without-url"),
        ([*LEAFNODE, "leafnode_remote.x.url = http://a:1"], "bad-url"),
        ([*LEAFNODE, "leafnode_remote.x.url = a:1, wss://b:2"], "mixed-urls"),
        ([*LEAFNODE, "leafnode_remote.x.account = nobody"], "unknown-account"),
        ([*LEAFNODE, "leafnode_remote.x.account = provisioning"], "unknown-account"),
        ([*LEAFNODE, "leafnode_remote.x.credentials = /missing"], "bad-credentials"),
        ([*LEAFNODE, "leafnode_remote.x.credentials = /empty"], "bad-credentials"),
        ([*LEAFNODE, "leafnode_remote.x.tls.ca = /missing"], "remote-file-missing"),
    ],
)
def test_a_remote_that_cannot_work_is_left_out(lines: list[str], code: str) -> None:
    files = {"/missing": MISSING, "/empty": FileFact(b"\n"), "/other": FileFact(pems("other.example").certificate)}
    found = net(*lines, files=files)
    assert found.one(code).severity is Severity.SKIP
    network = found.ok.network
    assert network.gateway.remotes == ()
    assert network.leafnodes.remotes == ()


@pytest.mark.parametrize("family", ["gateway_remote", "leafnode_remote"])
def test_verification_can_be_off_without_own_files(family: str) -> None:
    lines = GATEWAY if family == "gateway_remote" else LEAFNODE
    found = net(*lines, f"{family}.x.tls.verify = no")
    assert found.one("remote-not-verified").severity is Severity.WARN
    network = found.ok.network
    (tls,) = [remote.tls for remote in network.gateway.remotes] + [remote.tls for remote in network.leafnodes.remotes]
    assert not tls.verify
    assert not tls.custom


def test_words_that_go_choria_reads_otherwise() -> None:
    found = net(*LEAFNODE, "leafnode_remote.x.tls.disable = False")
    assert found.one("switch-read-differently").severity is Severity.WARN
    assert not found.ok.network.leafnodes.remotes[0].tls.disabled
    assert net(*LEAFNODE, "leafnode_remote.x.tls.disable = nope").one("bad-value").severity is Severity.REFUSE


def test_clear_text_remote() -> None:
    found = net(*LEAFNODE, "leafnode_remote.x.tls.disable = on")
    assert found.one("remote-clear-text").severity is Severity.WARN
    assert found.ok.network.leafnodes.remotes[0].tls.disabled


def test_logins_and_paths_in_remote_addresses_are_dropped_with_a_word() -> None:
    found = net("leafnode_remotes = x", "leafnode_remote.x.url = nats://u:p@a:1/path")
    assert found.ok.network.leafnodes.remotes[0].urls == (Endpoint("nats-leaf", "a", 1),)
    assert found.one("address-login").severity is Severity.WARN
    assert found.one("address-path").severity is Severity.WARN


def test_a_remote_named_twice_counts_once() -> None:
    found = net("leafnode_remotes = x, x", "leafnode_remote.x.url = a:1")
    assert found.one("repeated-item").severity is Severity.WARN
    assert len(found.ok.network.leafnodes.remotes) == 1


def test_own_files_over_their_date_are_used_with_a_warning() -> None:
    later = {"now": dt.datetime(9999, 1, 1, tzinfo=dt.UTC)}
    found = base(
        "plugin.choria.ssldir = /ssl",
        *(NET + line for line in LEAFNODE),
        NET + "leafnode_remote.x.tls.ca = /ca.pem",
        NET + "leafnode_remote.x.tls.cert = /cert.pem",
        NET + "leafnode_remote.x.tls.key = /key.pem",
        facts=later,
        overrides=Overrides(disable_tls=True),
    )
    assert len(found.ok.network.leafnodes.remotes) == 1
    assert {finding.severity for finding in found.findings if finding.code == "tls-expired"} == {Severity.WARN}
