"""Leafnode remotes: whatever is wrong with one is told by its name and leaves the others alone."""

from __future__ import annotations

import pytest

from choria_broker.config.surroundings.facts import Overrides
from choria_broker.host.facts import FileFact
from choria_broker.settings.finding_codes import Severity
from support.nats_server import Operator
from support.scenario import NET, Result, net, pems

OPERATOR = Operator("OPS")
EXPIRED = OPERATOR.user("OPS", exp=1_700_000_000).text().encode()
GOOD = ("leafnode_remote.good.url = good:7422", "gateway_name = SITE")
URL = "leafnode_remote.bad.url = bad:7422"
FILES = {
    "/missing": FileFact(problem="no such file or directory"),
    "/locked": FileFact(problem="permission denied"),
    "/empty": FileFact(b"\n"),
    "/other": FileFact(pems("other.example").certificate),
    "/mixed.creds": FileFact(OPERATOR.user("OPS").text().replace("U", "A").encode()),
    "/old.creds": FileFact(EXPIRED),
}


def remotes(*lines: str, overrides: Overrides | None = None) -> Result:
    """Resolve a remote called bad, with these settings, before one called good."""
    return net("leafnode_remotes = bad, good", *GOOD, *lines, files=FILES, overrides=overrides)


@pytest.mark.parametrize(
    ("lines", "code", "key"),
    [
        ([], "remote-without-url", "url"),
        (["leafnode_remote.bad.account = choria"], "remote-without-url", "url"),
        (["leafnode_remote.bad.url = hub"], "bad-url", "url"),
        (["leafnode_remote.bad.url = hub:0"], "bad-url", "url"),
        (["leafnode_remote.bad.url = hub:65536"], "bad-url", "url"),
        (["leafnode_remote.bad.url = http://hub:7422"], "bad-url", "url"),
        (["leafnode_remote.bad.url = 2001:db8::1:7422"], "bad-url", "url"),
        (["leafnode_remote.bad.url = .:7422"], "bad-url", "url"),
        (["leafnode_remote.bad.url = hub:7422, ws://hub:8080"], "mixed-urls", "url"),
        (["leafnode_remote.bad.url = wss://hub:8443, nats://hub:7422"], "mixed-urls", "url"),
        ([URL, "leafnode_remote.bad.account = nobody"], "unknown-account", "account"),
        ([URL, "leafnode_remote.bad.account = $G"], "unknown-account", "account"),
        ([URL, "leafnode_remote.bad.account = Choria"], "unknown-account", "account"),
        ([URL, "leafnode_remote.bad.credentials = /missing"], "bad-credentials", "credentials"),
        ([URL, "leafnode_remote.bad.credentials = /locked"], "bad-credentials", "credentials"),
        ([URL, "leafnode_remote.bad.credentials = /empty"], "bad-credentials", "credentials"),
        ([URL, "leafnode_remote.bad.credentials = /mixed.creds"], "bad-credentials", "credentials"),
        ([URL, "leafnode_remote.bad.credential = /missing"], "bad-credentials", "credential"),
        ([URL, "leafnode_remote.bad.tls.cert = /cert.pem"], "remote-half-identity", "tls.cert"),
        ([URL, "leafnode_remote.bad.tls.key = /key.pem"], "remote-half-identity", "tls.key"),
        ([URL, "leafnode_remote.bad.tls.ca = /missing"], "remote-file-missing", "tls.ca"),
        ([URL, "leafnode_remote.bad.tls.ca = /locked"], "remote-file-missing", "tls.ca"),
        ([URL, "leafnode_remote.bad.tls.ca = /empty"], "tls-no-pem", "tls.ca"),
        (
            [URL, "leafnode_remote.bad.tls.cert = /other", "leafnode_remote.bad.tls.key = /key.pem"],
            "tls-key-mismatch",
            "tls.key",
        ),
        (
            [URL, "leafnode_remote.bad.tls.ca = /missing", "leafnode_remote.bad.tls.disable = yes"],
            "remote-file-missing",
            "tls.ca",
        ),
    ],
)
def test_a_bad_remote_is_named_and_the_next_one_stays(lines: list[str], code: str, key: str) -> None:
    found = remotes(*lines)
    finding = found.one(code)
    assert finding.severity is Severity.SKIP
    assert finding.key == f"{NET}leafnode_remote.bad.{key}"
    assert "leafnode remote bad is not used" in str(finding)
    assert [remote.name for remote in found.ok.network.leafnodes.remotes] == ["good"]


def test_a_remote_that_is_not_listed_is_named() -> None:
    found = net("leafnode_remotes = good", *GOOD, URL, "leafnode_remote.bad.account = nobody")
    finding = found.one("unlisted-name")
    assert (finding.severity, finding.key) == (Severity.WARN, f"{NET}leafnode_remote.bad.url")
    assert "bad is not in" in finding.problem
    assert [remote.name for remote in found.ok.network.leafnodes.remotes] == ["good"]


@pytest.mark.parametrize(
    ("lines", "kept"),
    [
        (["leafnode_remote.bad.url = good:7422"], ["bad"]),
        (["leafnode_remote.bad.url = nats://other:7422, tls://good:7422"], ["bad"]),
        (["leafnode_remote.bad.url = good:7422", "leafnode_remote.bad.account = system"], ["bad", "good"]),
        (["leafnode_remote.bad.url = good:7422", "leafnode_remote.bad.credentials = /a.creds"], ["bad", "good"]),
        (["leafnode_remote.bad.url = good:7423"], ["bad", "good"]),
        (
            ["leafnode_remote.bad.url = good:7422", "leafnode_remote.bad.account = nobody"],
            ["good"],
        ),
    ],
)
def test_the_same_remote_under_two_names_counts_once(lines: list[str], kept: list[str]) -> None:
    """Else the engine does not start, or the other side ends the one for the other, again and again."""
    found = remotes(*lines)
    assert [remote.name for remote in found.ok.network.leafnodes.remotes] == kept
    assert ("duplicate-remote" in found.codes(Severity.SKIP)) is (kept == ["bad"])
    if kept == ["bad"]:
        assert "leafnode remote good is not used" in found.one("duplicate-remote").effect


def test_a_site_is_told_to_have_a_name() -> None:
    lines = ("leafnode_remotes = hq", "leafnode_remote.hq.url = hq:7422")
    finding = net(*lines).one("common-cluster-name")
    assert (finding.severity, finding.key) == (Severity.WARN, NET + "leafnode_remotes")
    assert NET + "gateway_name" in finding.remedy
    assert net(*lines, "gateway_name = CHORIA").findings == ()
    assert net("leafnode_port = 7422").findings == ()


def test_credentials_that_have_expired_are_used_with_a_warning() -> None:
    found = remotes(URL, "leafnode_remote.bad.credentials = /old.creds")
    finding = found.one("credentials-expired")
    assert (finding.severity, finding.key) == (Severity.WARN, f"{NET}leafnode_remote.bad.credentials")
    assert len(found.ok.network.leafnodes.remotes) == 2


DISABLED = Overrides(disable_tls=True)


@pytest.mark.parametrize(
    ("lines", "overrides", "effect"),
    [
        (["leafnode_remote.bad.url = wss://hub:8443"], None, ""),
        (["leafnode_remote.bad.url = ws://hub:8080"], None, "TLS is used"),
        (["leafnode_remote.bad.url = ws://hub:8080", "leafnode_remote.bad.tls.disable = yes"], None, ""),
        (["leafnode_remote.bad.url = ws://hub:8080"], DISABLED, ""),
        (
            ["leafnode_remote.bad.url = ws://hub:8080", "leafnode_remote.bad.tls.ca = /hub-ca.pem"],
            DISABLED,
            "TLS is used",
        ),
        (
            ["leafnode_remote.bad.url = wss://hub:8443", "leafnode_remote.bad.tls.disable = yes"],
            None,
            "the other side is verified",
        ),
        (["leafnode_remote.bad.url = wss://hub:8443"], DISABLED, "the other side is verified with this machine's CAs"),
        (["leafnode_remote.bad.url = wss://hub:8443", "leafnode_remote.bad.tls.ca = /hub-ca.pem"], DISABLED, ""),
    ],
)
def test_schemes_of_websockets_that_say_other_than_what_happens(
    lines: list[str], overrides: Overrides | None, effect: str
) -> None:
    found = remotes(*lines, overrides=overrides)
    told = [finding for finding in found.findings if finding.code == "websocket-scheme"]
    assert len(told) == bool(effect)
    assert all(finding.effect.startswith(effect) and finding.severity is Severity.WARN for finding in told)
    assert len(found.ok.network.leafnodes.remotes) == 2
