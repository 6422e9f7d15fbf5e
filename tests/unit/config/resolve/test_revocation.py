"""Lists of revoked certificates and the revocation file: what counts at the start, and what stays at a reload."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path

import pytest
import trustme
from cryptography import x509

from choria_broker.host.facts import FileFact
from choria_broker.settings.finding_codes import Severity
from choria_broker.settings.revocation import CrlExpired, Revocation
from support.revoking import HOUR, crl
from support.scenario import BASE, IDENTITY, NET, NOW, Result, scenario

ROOT = trustme.CA()
CHILD = ROOT.create_child_ca()
ISSUED = ROOT.issue_cert(IDENTITY)
BUNDLE = ROOT.cert_pem.bytes()
MISSING = FileFact(problem="no such file or directory", missing=True)
LISTED = NET + "crl = /tls/crls.pem\n"
FILE = NET + "revocations = /etc/revoked\n"
PUPPET = f"""
identity = {IDENTITY}
plugin.choria.broker_network = true
plugin.choria.ssldir = /puppet
"""


def files(more: Mapping[str, bytes | FileFact], ca: bytes = BUNDLE) -> dict[str, FileFact]:
    certificate = b"".join(blob.bytes() for blob in ISSUED.cert_chain_pems)
    key = ISSUED.private_key_pem.bytes()
    found: dict[str, FileFact] = {
        "/tls/cert.pem": FileFact(certificate),
        "/tls/key.pem": FileFact(key),
        "/tls/ca.pem": FileFact(ca),
        f"/puppet/certs/{IDENTITY}.pem": FileFact(certificate),
        f"/puppet/private_keys/{IDENTITY}.pem": FileFact(key),
        "/puppet/certs/ca.pem": FileFact(ca),
    }
    return found | {name: fact if isinstance(fact, FileFact) else FileFact(fact) for name, fact in more.items()}


def judged(text: str, more: Mapping[str, bytes | FileFact], ca: bytes = BUNDLE) -> Result:
    return scenario(text, files=files(more, ca))


def again(before: Result, more: Mapping[str, bytes | FileFact], ca: bytes = BUNDLE) -> Result:
    return before.reloaded(files={Path(name): fact for name, fact in files(more, ca).items()})


def revocation(found: Result) -> Revocation:
    return found.ok.network.revocation


def serials(found: Result) -> set[str]:
    return set().union(*(each.serials for each in revocation(found).crls))


def test_nothing_is_revoked_without_a_word() -> None:
    assert revocation(judged(BASE, {})).crls == ()
    assert revocation(judged(BASE, {})).files == ()


def test_lists_of_the_cas_in_the_ca_file() -> None:
    bundle = BUNDLE + CHILD.cert_pem.bytes()
    text = BASE + NET + "crl = /a.pem, /b.pem, /a.pem\n"
    found = judged(text, {"/a.pem": crl(ROOT, [1]), "/b.pem": crl(CHILD, [2])}, bundle)
    assert serials(found) == {"1", "2"}
    assert revocation(found).crl_files == (Path("/a.pem"), Path("/b.pem"))
    assert len(revocation(found).authorities) == 2
    assert not [each for each in found.codes() if each.startswith("crl")]


def test_the_list_that_puppet_keeps_is_used_without_a_setting() -> None:
    found = judged(PUPPET, {"/puppet/crl.pem": crl(ROOT, [1])})
    assert serials(found) == {"1"}
    assert revocation(judged(PUPPET, {"/puppet/crl.pem": MISSING})).crl_files == ()
    assert revocation(judged(PUPPET + NET + "crl = none\n", {"/puppet/crl.pem": crl(ROOT, [1])})).crls == ()
    elsewhere = judged(PUPPET + NET + "crl = /x.pem\n", {"/puppet/crl.pem": crl(ROOT, [1]), "/x.pem": crl(ROOT, [2])})
    assert serials(elsewhere) == {"2"}
    refused = judged(PUPPET, {"/puppet/crl.pem": FileFact(problem="permission denied")})
    assert refused.settings is None
    assert refused.one("crl-unreadable").key == NET + "crl"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (MISSING, "crl-unreadable"),
        (FileFact(problem="permission denied"), "crl-unreadable"),
        (b"", "crl-damaged"),
        (crl(ROOT, [1], number=2)[:-40], "crl-damaged"),
        (crl(ROOT, delta=True), "crl-kind"),
        (crl(ROOT, [1], number=2, signed_by=trustme.CA()), "crl-signature"),
        (crl(trustme.CA(), [1]), "crl-stranger"),
    ],
)
def test_a_bad_list_refuses_the_start_and_at_a_reload_the_one_before_stays(
    content: bytes | FileFact, code: str
) -> None:
    refused = judged(BASE + LISTED, {"/tls/crls.pem": content})
    assert refused.settings is None
    finding = refused.one(code)
    assert finding.severity is Severity.REFUSE
    assert "/tls/crls.pem: " in finding.problem
    assert finding.origin.line

    before = judged(BASE + LISTED, {"/tls/crls.pem": crl(ROOT, [1, 2])})
    after = again(before, {"/tls/crls.pem": content})
    assert serials(after) == {"1", "2"}
    assert after.one(code).severity is Severity.SKIP
    assert after.one(code).effect == "the content that was read before stays in use"


def test_a_part_of_a_list_in_another_file_takes_nothing_away() -> None:
    two = NET + "crl = /tls/crls.pem, /tls/more.pem\n"
    unnamed = x509.IssuingDistributionPoint(
        full_name=[x509.UniformResourceIdentifier("http://ca.example.net/2")],
        relative_name=None,
        only_contains_user_certs=False,
        only_contains_ca_certs=False,
        only_some_reasons=None,
        indirect_crl=False,
        only_contains_attribute_certs=False,
    )
    whole, part = crl(ROOT, [1], number=1), crl(ROOT, [2], number=2, extension=unnamed)
    refused = judged(BASE + two, {"/tls/crls.pem": whole, "/tls/more.pem": part})
    assert refused.one("crl-kind").severity is Severity.REFUSE
    before = judged(BASE + two, {"/tls/crls.pem": whole, "/tls/more.pem": whole})
    after = again(before, {"/tls/crls.pem": whole, "/tls/more.pem": part})
    assert (serials(after), after.one("crl-kind").severity) == ({"1"}, Severity.SKIP)


def test_a_reload_refuses_a_bad_list_without_one_before() -> None:
    before = judged(BASE, {})
    text = judged(BASE + LISTED, {"/tls/crls.pem": crl(ROOT)})
    served = before.ok
    assert served.network.revocation.crls == ()
    assert again(text, {"/tls/crls.pem": crl(ROOT, [4], number=2)}).ok.network.revocation.crls[0].serials == {"4"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (crl(ROOT, [1, 2], number=4), crl(ROOT, [1], number=3)),
        (
            crl(ROOT, [1, 2], number=None, updated=NOW - HOUR / 2),
            crl(ROOT, [1], number=None, updated=NOW - HOUR * 2, lasts=HOUR * 9),
        ),
        (crl(ROOT, [1, 2]), crl(CHILD, [3])),
    ],
)
def test_a_list_that_is_older_or_gone_takes_nothing_away(old: bytes, new: bytes) -> None:
    bundle = BUNDLE + CHILD.cert_pem.bytes()
    before = judged(BASE + LISTED, {"/tls/crls.pem": old}, bundle)
    after = again(before, {"/tls/crls.pem": new}, bundle)
    assert {"1", "2"} <= serials(after)
    assert after.one("crl-older").severity is Severity.SKIP


def test_a_newer_list_may_revoke_less() -> None:
    before = judged(BASE + LISTED, {"/tls/crls.pem": crl(ROOT, [1, 2], number=1)})
    after = again(before, {"/tls/crls.pem": crl(ROOT, [1], number=2)})
    assert serials(after) == {"1"}
    assert again(after, {"/tls/crls.pem": crl(ROOT, [1], number=2)}).codes() == after.codes()


def test_a_list_goes_with_its_ca() -> None:
    bundle = BUNDLE + CHILD.cert_pem.bytes()
    before = judged(BASE + LISTED, {"/tls/crls.pem": crl(ROOT, [1]) + crl(CHILD, [2])}, bundle)
    assert serials(before) == {"1", "2"}
    after = again(before, {"/tls/crls.pem": crl(ROOT, [1])})
    assert serials(after) == {"1"}
    assert "crl-older" not in after.codes()


def test_strangers_beside_lists_that_count_are_a_warning() -> None:
    found = judged(BASE + LISTED, {"/tls/crls.pem": crl(ROOT, [1]) + crl(CHILD, [2])})
    assert serials(found) == {"1"}
    assert found.one("crl-stranger").severity is Severity.WARN


def test_a_ca_without_a_list_is_a_warning() -> None:
    found = judged(BASE + LISTED, {"/tls/crls.pem": crl(ROOT, [1])}, BUNDLE + CHILD.cert_pem.bytes())
    assert found.one("crl-absent").severity is Severity.WARN
    assert "cn=" in found.one("crl-absent").problem or "o=" in found.one("crl-absent").problem


def test_a_list_that_is_out_of_date() -> None:
    old = crl(ROOT, [1], updated=NOW - HOUR * 2)
    found = judged(BASE + LISTED, {"/tls/crls.pem": old})
    assert serials(found) == {"1"}
    assert found.one("crl-expired").effect == "certificates revoked since then are not refused"
    strict = judged(BASE + LISTED + NET + "crl_expired = refuse\n", {"/tls/crls.pem": old})
    assert revocation(strict).expired is CrlExpired.REFUSE
    assert strict.one("crl-expired").effect == "certificates of that CA are refused"


def test_without_a_ca_or_without_tls_no_list_is_read() -> None:
    key = "aa" * 32
    text = (BASE + LISTED).replace("provider = file", "provider = choria").replace(".file.", ".choria.")
    text = text.replace("plugin.security.choria.ca = /tls/ca.pem\n", "")
    text += "plugin.security.choria.token_file = /t\nplugin.security.choria.seed_file = /s\n"
    text += f"plugin.security.issuer.names = o\nplugin.security.issuer.o.public = {key}\n"
    found = judged(text, {"/tls/crls.pem": MISSING})
    assert revocation(found).crls == ()
    assert found.one("no-effect").key == NET + "crl"


def test_the_revocation_file() -> None:
    found = judged(BASE + FILE, {"/etc/revoked": b"# all\nidentity web1\ncaller up=bob # gone\n"})
    assert [(each.value, each.origin.line) for each in revocation(found).entries] == [("web1", 2), ("up=bob", 3)]
    assert revocation(found).files == (Path("/etc/revoked"),)
    assert revocation(judged(BASE + FILE, {"/etc/revoked": MISSING})).entries == ()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"identity web1\nidentity\n", "bad-revocation"),
        (b"nobody web1\n", "bad-revocation"),
        (FileFact(problem="permission denied"), "crl-unreadable"),
    ],
)
def test_an_unreadable_line_refuses_the_start_and_keeps_the_list_before(content: bytes | FileFact, code: str) -> None:
    refused = judged(BASE + FILE, {"/etc/revoked": content})
    assert refused.settings is None
    if code == "bad-revocation":
        assert refused.one(code).origin.file == "/etc/revoked"
        assert refused.one(code).origin.line == (2 if b"web1\nid" in content else 1)  # type: ignore[operator] # bytes
    before = judged(BASE + FILE, {"/etc/revoked": b"identity web1\nidentity web2\n"})
    after = again(before, {"/etc/revoked": content})
    assert [each.value for each in revocation(after).entries] == ["web1", "web2"]
    assert after.one(code).severity is Severity.SKIP


def test_a_file_that_is_gone_counts_as_empty_and_that_is_said() -> None:
    before = judged(BASE + FILE, {"/etc/revoked": b"identity web1\n"})
    after = again(before, {"/etc/revoked": MISSING})
    assert revocation(after).entries == ()
    assert after.one("revocations-gone").severity is Severity.WARN
    assert "1 until now" in after.one("revocations-gone").effect


def test_defaults() -> None:
    found = revocation(judged(BASE + NET + "enforce_expiry = true\n", {}))
    assert found.enforce_expiry
    assert found.expired is CrlExpired.ACCEPT
    assert dt.timedelta(0) < HOUR
