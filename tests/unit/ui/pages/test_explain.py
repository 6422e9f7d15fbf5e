"""The page that explains what would be decided."""

from __future__ import annotations

import time

import pytest
import trustme

from choria_broker.ui.page import Asked, BadInputError
from choria_broker.ui.pages.explain import PAGE, Explained, Facts, view
from support.dashboard import HOSTILE, NOW, decision, settings_of

CA = trustme.CA()
FACTS = Facts(
    settings=settings_of(plugin__security__file__ca=4, plugin__choria__network__client_port=9),
    authorities=CA.cert_pem.bytes(),
    decision=None,
    denied=(),
)


def shown(**values: str) -> Explained:
    return view(FACTS, Asked(time.time(), {name: (value,) for name, value in values.items()}, posted=True))


def test_nothing_is_explained_before_anything_is_asked() -> None:
    found = view(FACTS, Asked(NOW))
    assert (found.explanation, found.path, found.command) == (None, (), ("explain",))
    assert found.door.place == "/etc/choria/broker.conf:9"
    assert PAGE.document is not None
    assert PAGE.document(found) == {}


def test_the_way_to_a_refusal_has_the_settings_behind_it() -> None:
    found = shown(address="192.0.2.1", kind="client")
    assert found.explanation is not None
    assert (found.path[-1].rule, found.path[-1].state) == ("certificate-required", "refused")
    assert [each.place for each in found.path[-1].settings] == ["/etc/choria/broker.conf:4"]


def test_a_certificate_lets_in_and_subjects_are_answered() -> None:
    pem = b"".join(each.bytes() for each in CA.issue_cert("web", common_name="web").cert_chain_pems).decode()
    found = shown(certificate=pem, publish="a.b\r\n c.d \r\n", subscribe="x.>")
    assert found.explanation is not None
    assert (found.explanation.verdict.rule, found.path[-1].state) == ("mtls", "accepted")
    assert [each.subject for each in found.explanation.subjects] == ["a.b", "c.d", "x.>"]
    assert "certificate.pem" in found.command
    assert found.command[-2:] == ("--subscribe", "x.>")


def test_secrets_are_never_shown_again() -> None:
    found = shown(token="ey.secret.token", password="hunter2", certificate="", user="bob", proof="missing")
    assert "secret" not in repr(found)
    assert "hunter2" not in repr(found)
    assert found.command == (
        *("explain", "--token", "token.jwt", "--user", "bob", "--password-stdin", "--nonce-proof", "missing"),
    )


def test_a_decision_of_lately_is_explained() -> None:
    told = Facts(settings=FACTS.settings, authorities=b"", decision=decision(7), denied=())
    found = view(told, Asked(NOW, {"connection": ("7",)}))
    assert found.explanation is not None
    assert found.explanation.connection["cid"] == "7"
    assert found.command == ("explain", "--connection", "7")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"address": "somewhere"}, "not an IP address"),
        ({"kind": HOSTILE}, "no kind of connection"),
        ({"tls": "x"}, "no state of TLS"),
        ({"publish": ">"}, "^Publish '>'"),
        ({"subscribe": "a..b"}, "^Subscribe"),
        ({"certificate": "nonsense"}, "^Certificate: no PEM"),
        ({"token": "x" * 8193}, "longer than"),
        ({"subscribe": "x" * 2001}, "longer than"),
    ],
)
def test_what_makes_no_sense_is_told(values: dict[str, str], says: str) -> None:
    with pytest.raises(BadInputError, match=says):
        shown(**values)
