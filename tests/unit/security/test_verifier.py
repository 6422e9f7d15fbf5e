"""Chains of certificates, one by one; test_tls_files.py has whole files, which Go's own TLS gets too."""

from __future__ import annotations

import pytest
from cryptography import x509

from choria_broker.security.verifier import Cause, Use, is_offered, refusal
from support.certificates import NOW, Made, authority, broker

ROOT = authority("root")
MIDDLE = authority("middle", ROOT)
LEAF = broker(MIDDLE)
OTHER = authority("other")


def said(*chain: Made, trusted: Made = OTHER) -> str:
    fault = refusal([each.certificate for each in chain], [trusted.certificate], NOW, Use.SERVER)
    assert fault is None or fault.cause is Cause.UNTRUSTED
    return fault.text if fault else ""


def test_who_must_be_in_the_ca_file_is_named() -> None:
    assert said(LEAF) == "it was not issued by a CA in the CA file; its issuer is CN=middle"
    assert said(LEAF, MIDDLE) == "it was not issued by a CA in the CA file; its issuer is CN=root"
    assert said(LEAF, OTHER, MIDDLE) == "it was not issued by a CA in the CA file; its issuer is CN=root"
    assert said(LEAF, MIDDLE, trusted=ROOT) == ""


@pytest.mark.parametrize(
    ("chain", "offered"),
    [((LEAF,), False), ((LEAF, MIDDLE), True), ((broker(ROOT),), True), ((broker(OTHER),), False)],
)
def test_a_go_program_shows_what_the_server_asked_for(chain: tuple[Made, ...], *, offered: bool) -> None:
    assert is_offered([each.certificate for each in chain], [ROOT.certificate]) is offered


@pytest.mark.parametrize(("demanded", "refused"), [(0, True), (1, False), (None, False)])
def test_a_certificate_that_demands_policies_for_itself(demanded: int | None, *, refused: bool) -> None:
    leaf = broker(ROOT, x509.PolicyConstraints(demanded, None if demanded is not None else 0), critical=True)
    fault = refusal([leaf.certificate], [ROOT.certificate], NOW, Use.SERVER)
    assert (fault is not None) is refused
