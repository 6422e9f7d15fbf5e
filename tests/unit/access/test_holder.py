from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.access.holder import holder_of
from choria_broker.access.request import Certificate, ConnectionKind, ConnectRequest, TlsState
from choria_broker.access.session import LAST_MOMENT, Holder
from choria_broker.security.tokens_claims import Claims, ClientClaims, ProvisioningClaims, ServerClaims
from choria_broker.values import replace

CERTIFICATE = Certificate("web1.example.net", "0a", "CN=ca", "ff", 2000)
KEY = "CA" * 32


def request(tls: TlsState = TlsState.MTLS, certificate: Certificate | None = CERTIFICATE) -> ConnectRequest:
    return ConnectRequest(ConnectionKind.CLIENT, tls, certificate=certificate)


def held(claims: Claims | None, asked: ConnectRequest | None = None) -> Holder:
    return holder_of(asked or request(), claims, method="m", rule="r")


def test_a_certificate_is_known_by_its_name() -> None:
    assert held(None) == Holder(
        identity="web1.example.net", method="m", rule="r", certificate=CERTIFICATE, expires=2000
    )


@pytest.mark.parametrize("tls", [TlsState.ANON, TlsState.NONE])
def test_one_that_was_not_verified_is_nobodys(tls: TlsState) -> None:
    assert held(None, request(tls)) == Holder(method="m", rule="r")


def test_a_certificate_whose_end_is_not_known_does_not_end() -> None:
    assert held(None, request(certificate=Certificate("a"))).expires is None


def test_a_client_is_known_by_its_token_and_its_certificate_is_kept() -> None:
    claims = ClientClaims.read(
        {"callerid": "up=bob", "public_key": KEY, "jti": "t", "ou": "choria", "exp": 1999, "issexp": 5, "iss": "choria"}
    )
    assert held(claims) == Holder(
        caller="up=bob",
        method="m",
        rule="r",
        organization="choria",
        token_id="t",
        key=KEY.lower(),
        certificate=CERTIFICATE,
        expires=1999,
    )


def test_a_server_has_an_identity() -> None:
    holder = held(ServerClaims.read({"identity": "web2", "public_key": KEY}), request(TlsState.ANON, None))
    assert (holder.identity, holder.caller, holder.expires) == ("web2", "", None)


def test_a_chain_issuer_is_named_and_its_end_counts() -> None:
    holder = held(ClientClaims.read({"callerid": "up=bob", "iss": f"C-2YBX.{KEY}", "exp": 1000, "issexp": 900}))
    assert holder.chain == ((KEY.lower(), "2YBX"),)
    assert holder.expires == 900


def test_provisioning_tokens_have_no_chain() -> None:
    assert held(ProvisioningClaims.read({"iss": f"C-2YBX.{KEY}", "issexp": 900})).chain == ()


@given(st.lists(st.none() | st.integers(1, 10**10), min_size=3, max_size=3))
def test_whatever_ends_first_ends_it(ends: list[int | None]) -> None:
    token, issuer, certificate = ends
    claims = ClientClaims.read({"callerid": "up=bob", "iss": f"C-a.{KEY}", "exp": token, "issexp": issuer})
    asked = request(certificate=replace(CERTIFICATE, not_after=certificate or 0))
    assert held(claims, asked).expires == min((end for end in ends if end), default=None)


@pytest.mark.parametrize("end", [LAST_MOMENT, LAST_MOMENT + 1, 1_795_983_742_000, 2**63, 10**30, 1e300])
@pytest.mark.parametrize("chained", [False, True])
def test_what_ends_after_the_last_moment_of_the_calendar_never_ends(end: float, chained: bool) -> None:
    issuer = {"iss": f"C-a.{KEY}", "exp": 2 * end, "issexp": end} if chained else {"exp": end}
    claims = ClientClaims.read({"callerid": "up=bob", **issuer})
    assert held(claims, request(certificate=None)).expires == LAST_MOMENT
    assert held(claims).expires == 2000
