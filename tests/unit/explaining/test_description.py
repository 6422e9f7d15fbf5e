"""What would be decided about a connection that somebody describes."""

from __future__ import annotations

import pytest
import trustme

from choria_broker.access.request import ConnectionKind, TlsState
from choria_broker.explaining.description import Description, DescriptionError, Judge, Names, subjects_of
from choria_broker.explaining.explanation import Subjects
from choria_broker.settings.tls import Tls
from choria_broker.values import replace
from support.ready_settings import settings
from support.scenario import NOW

CA = trustme.CA()
MOMENT = NOW.timestamp()


def certificate(authority: trustme.CA = CA) -> bytes:
    return b"".join(each.bytes() for each in authority.issue_cert("web", common_name="web").cert_chain_pems)


JUDGE = Judge(settings(), CA.cert_pem.bytes(), Names(certificate="Certificate", tls="TLS"))


def test_a_connection_that_presents_nothing() -> None:
    found = JUDGE.explain(Description(), Subjects(), MOMENT)
    assert (found.allowed, found.verdict.rule) == (False, "certificate-required")
    assert found.connection["from"] == "127.0.0.1"
    assert any("127.0.0.1" in each for each in found.assumptions)


def test_a_certificate_of_the_authority_and_one_of_another() -> None:
    found = JUDGE.explain(Description(certificate=certificate(), address="192.0.2.1"), Subjects(("a.b",)), MOMENT)
    assert (found.allowed, found.verdict.rule, found.connection["certificate"]) == (True, "mtls", "web")
    assert [each.allowed for each in found.subjects] == [True]
    other = JUDGE.explain(Description(certificate=certificate(trustme.CA())), Subjects(), MOMENT)
    assert (other.allowed, other.verdict.rule) == (False, "tls-handshake")


@pytest.mark.parametrize(
    ("tls", "state", "says"),
    [
        (Tls(enabled=False, everywhere=False, verify_clients=False, files=None), TlsState.NONE, "no TLS"),
        (replace(settings().tls, verify_clients=False), TlsState.ANON, "does not ask for certificates"),
    ],
)
def test_a_certificate_that_is_never_sent(tls: Tls, state: TlsState, says: str) -> None:
    judge = replace(JUDGE, settings=settings(tls=tls))
    found = judge.explain(Description(certificate=certificate()), Subjects(), MOMENT)
    assert found.connection["tls"] == state
    assert any(says in each for each in found.assumptions)


def test_what_was_said_of_tls_counts() -> None:
    plain = JUDGE.explain(Description(tls=TlsState.NONE), Subjects(), MOMENT)
    assert (plain.connection["tls"], plain.verdict.rule) == ("none", "tls-required")
    verified = JUDGE.explain(Description(tls=TlsState.MTLS, kind=ConnectionKind.LEAFNODE), Subjects(), MOMENT)
    assert any("verifies" in each for each in verified.assumptions)


@pytest.mark.parametrize(
    ("described", "says"),
    [
        (Description(certificate=b"nonsense"), "Certificate: no PEM certificate"),
        (Description(certificate=certificate(), tls=TlsState.ANON), "Certificate and TLS anon contradict each other"),
    ],
)
def test_a_description_that_makes_no_sense(described: Description, says: str) -> None:
    with pytest.raises(DescriptionError, match=says):
        JUDGE.explain(described, Subjects(), MOMENT)


@pytest.mark.parametrize(
    ("publish", "subscribe", "says"),
    [((">",), (), "--publish"), (("a b",), (), "--publish"), ((), ("a..b",), "--subscribe")],
)
def test_subjects_have_to_be_some(publish: tuple[str, ...], subscribe: tuple[str, ...], says: str) -> None:
    with pytest.raises(DescriptionError, match=says):
        subjects_of(publish, subscribe, Names())


def test_subjects_are_taken() -> None:
    assert subjects_of(("a",), ("b.> q",), Names()) == Subjects(("a",), ("b.> q",))
