"""Who is revoked: tables, and random revocations held against a plain model."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.access import rules
from choria_broker.access.request import Authority as Anchor
from choria_broker.access.request import Certificate, Intermediate
from choria_broker.access.revoked import NOBODY, Revocations
from choria_broker.access.session import Holder
from choria_broker.settings.findings import Origin
from choria_broker.settings.revocation import Authority, Crl, CrlExpired, Entry, EntryKind, Revocation
from choria_broker.values import replace
from support.revoked_people import CAS, CHILD, ENTRIES, PEOPLE, ROOT, crl_of, is_revoked, revocation
from support.sessions import session

NOW = 1_000.0
PLACE = Origin("/etc/revoked", 3)
CERTIFICATE = Certificate(
    common_name="Web1.example.net",
    serial="4f",
    issuer="CN=Child,O=Example",
    fingerprint="leaf",
    not_after=9_000,
    intermediates=(),
    authority=Anchor("CN=Child,O=Example", "f-child", "k-child"),
)
LONGER = replace(
    CERTIFICATE,
    intermediates=(Intermediate("2", "CN=Root", "f-child", "k-child"),),
    authority=Anchor("CN=Root", "f-root", "k-root"),
)
HOLDER = Holder(
    identity="web1.example.net",
    caller="up=bob",
    token_id="T1",
    key="aa" * 32,
    chain=(("bb" * 32, "LOGIN"),),
    certificate=CERTIFICATE,
)
ISSUER = ("cn=child", "o=example")


def entry(subject: EntryKind, value: str, **more: object) -> Entry:
    return Entry(subject, value, PLACE, **more)  # type: ignore[arg-type] # fields by name


def look(*entries: Entry, crls: tuple[Crl, ...] = (), expired: CrlExpired = CrlExpired.ACCEPT) -> Revocations:
    return Revocations(Revocation(entries=entries, crls=crls, expired=expired, authorities=CAS))


@pytest.mark.parametrize(
    ("made", "rule", "words"),
    [
        (entry(EntryKind.IDENTITY, "web1.example.net"), rules.REVOKED_IDENTITY, "identity 'web1.example.net'"),
        (entry(EntryKind.CALLER, "up=bob"), rules.REVOKED_CALLER, "caller 'up=bob'"),
        (entry(EntryKind.TOKEN, "T1"), rules.REVOKED_TOKEN, "token 'T1' is revoked"),
        (entry(EntryKind.TOKEN, "LOGIN"), rules.REVOKED_TOKEN, "token 'LOGIN' of the chain issuer"),
        (entry(EntryKind.KEY, "aa" * 32), rules.REVOKED_KEY, "key aaaa"),
        (entry(EntryKind.KEY, "bb" * 32), rules.REVOKED_KEY, "of the chain issuer"),
        (entry(EntryKind.CERTIFICATE, "4f"), rules.REVOKED_CERTIFICATE, "certificate 4f of"),
        (entry(EntryKind.CERTIFICATE, "4f", issuer=ISSUER), rules.REVOKED_CERTIFICATE, "certificate 4f of"),
    ],
)
def test_each_kind_of_entry_revokes(made: Entry, rule: rules.Rule, words: str) -> None:
    found = look(made).of(HOLDER, NOW)
    assert found
    assert found.rule is rule
    assert words in found.reason
    assert found.place == "/etc/revoked:3"
    assert found.remedy.startswith("See /etc/revoked:3. ")


@pytest.mark.parametrize(
    "made",
    [
        entry(EntryKind.IDENTITY, "web1"),
        entry(EntryKind.IDENTITY, "up=bob"),
        entry(EntryKind.CALLER, "up=Bob"),
        entry(EntryKind.CALLER, "web1.example.net"),
        entry(EntryKind.TOKEN, "t1"),
        entry(EntryKind.KEY, "cc" * 32),
        entry(EntryKind.CERTIFICATE, "4f0"),
        entry(EntryKind.CERTIFICATE, "4f", issuer=("cn=other",)),
        entry(EntryKind.CALLER, "up=bob", until=NOW),
    ],
)
def test_others_are_left_alone(made: Entry) -> None:
    assert look(made).of(HOLDER, NOW) is None


def test_an_entry_counts_until_its_end() -> None:
    made = look(entry(EntryKind.CALLER, "up=bob", until=NOW))
    assert made.of(HOLDER, NOW - 0.1)
    assert made.active(NOW - 0.1)
    assert not made.active(NOW)


def test_the_common_name_is_the_identity_whatever_else_is_presented() -> None:
    made = look(entry(EntryKind.IDENTITY, "web1.example.net"))
    assert made.of(Holder(caller="up=bob", certificate=CERTIFICATE), NOW)
    assert made.of(Holder(caller="up=bob"), NOW) is None
    assert made.of(Holder(), NOW) is None


def test_small_numbers_of_cas_are_meant_only_with_their_issuer() -> None:
    for certificate in (CERTIFICATE, LONGER):
        holder = Holder(certificate=certificate)
        assert look(entry(EntryKind.CERTIFICATE, "2")).of(holder, NOW) is None
        assert look(entry(EntryKind.CERTIFICATE, "1")).of(holder, NOW) is None
        assert look(entry(EntryKind.CERTIFICATE, "1", issuer=("cn=root",))).of(holder, NOW)
        found = look(entry(EntryKind.CERTIFICATE, "2", issuer=("cn=root",))).of(holder, NOW)
        assert found
        assert found.rule is rules.REVOKED_CERTIFICATE


@pytest.mark.parametrize("certificate", [CERTIFICATE, LONGER])
def test_lists_revoke_leaves_and_intermediates(certificate: Certificate) -> None:
    holder = Holder(certificate=certificate)
    assert look(crls=(crl_of(CHILD, "50"), crl_of(ROOT, "4f"))).of(holder, NOW) is None
    found = look(crls=(crl_of(CHILD, "4f"),)).of(holder, NOW)
    assert found
    assert "the list of 'CN=Child,O=Example' in /crl" in found.remedy
    above = look(crls=(crl_of(ROOT, "2"),)).of(holder, NOW)
    assert above
    assert "certificate 2 of" in above.reason


def test_a_ca_that_was_renewed_has_signed_what_it_has_signed() -> None:
    """A client could send any certificate of its CA, one that is not in the CA file too."""
    renewed = replace(LONGER, intermediates=(Intermediate("7", "CN=Root", "f-renewed", "k-child"),))
    assert look(crls=(crl_of(CHILD, "4f"),)).of(Holder(certificate=renewed), NOW)


def test_a_ca_with_the_same_name_has_numbers_of_its_own() -> None:
    namesake = replace(CERTIFICATE, authority=Anchor("CN=Child,O=Example", "f-namesake", "k-namesake"))
    made = look(crls=(crl_of(CHILD, "4f"),))
    assert made.of(Holder(certificate=CERTIFICATE), NOW)
    assert made.of(Holder(certificate=namesake), NOW) is None


def test_lists_that_are_out_of_date() -> None:
    over = (crl_of(CHILD, next_update=NOW),)
    assert look(crls=over).refusal(HOLDER, NOW) is None
    refusing = look(crls=over, expired=CrlExpired.REFUSE)
    assert refusing.refusal(HOLDER, NOW - 1) is None
    found = refusing.refusal(HOLDER, NOW)
    assert found
    assert found.rule is rules.CRL_EXPIRED
    assert refusing.of(HOLDER, NOW) is None, "who is in stays"
    assert refusing.refusal(Holder(caller="up=bob"), NOW) is None
    both = look(entry(EntryKind.CALLER, "up=bob"), crls=over, expired=CrlExpired.REFUSE).refusal(HOLDER, NOW)
    assert both
    assert both.rule is rules.REVOKED_CALLER


def test_very_long_names_of_issuers_are_cut() -> None:
    whole = f"CN={'x' * 300},O=Example"
    cut = replace(CERTIFICATE, issuer=whole.encode()[:256].decode())
    made = look(entry(EntryKind.CERTIFICATE, "4f", issuer=(f"cn={'x' * 300}", "o=example")))
    assert made.of(Holder(certificate=cut), NOW)


def test_nobody_is_revoked() -> None:
    assert not NOBODY
    assert NOBODY.of(HOLDER, NOW) is None
    assert NOBODY.of_sessions((), NOW) == ()


@given(st.lists(st.sampled_from(ENTRIES), max_size=4), st.lists(st.sampled_from(PEOPLE), max_size=8), st.data())
def test_exactly_those_are_chosen_that_the_model_says(
    entries: list[Entry], people: list[Holder], data: st.DataObject
) -> None:
    numbers = data.draw(st.fixed_dictionaries({ca.key: st.sets(st.sampled_from("1234")) for ca in CAS}))
    made = revocation(entries, numbers)
    now = data.draw(st.sampled_from([0.0, 99.0, 100.0, 500.0]))
    sessions = [session(number, holder=holder) for number, holder in enumerate(people)]
    chosen = {each.connection for each, _ in Revocations(made).of_sessions(sessions, now)}
    assert chosen == {number for number, holder in enumerate(people) if is_revoked(holder, made, now)}


def test_ten_thousand_sessions_are_gone_through_quickly() -> None:
    entries = tuple(entry(EntryKind.CALLER, f"up={number}") for number in range(2_000))
    made = look(*entries, crls=(crl_of(CHILD, *(f"{number:x}" for number in range(1_000, 20_000))),))
    sessions = [
        session(number, holder=msgspec.structs.replace(HOLDER, caller=f"up={2 * number}", certificate=LONGER))
        for number in range(10_000)
    ]
    assert len(made.of_sessions(sessions, NOW)) == 1_000
    assert Path("/crl") == crl_of(CHILD).file
    assert isinstance(CAS[0], Authority)
