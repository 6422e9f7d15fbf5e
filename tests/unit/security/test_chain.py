"""Chains of trust, link by link."""

from __future__ import annotations

from typing import Any

import pytest

from choria_broker.security.tokens import Envelope, Fault, Rejection, open_envelope, verify
from choria_broker.security.tokens_claims import ClientClaims, ServerClaims
from support.minting import (
    CHAIN_ISSUER,
    HOLDER,
    NOW,
    ORGANIZATION,
    OTHER_ORGANIZATION,
    RSA,
    STRANGER,
    chained,
    client,
    hex_of,
    ksuid,
    mint,
    server,
)

GOOD = chained(client())
VOUCHER, ASSIGNMENT = GOOD["tcs"].split(".")


def check(token: str, kind: type[ClientClaims | ServerClaims] = ClientClaims, now: float = NOW) -> Any:
    envelope = open_envelope(token)
    assert isinstance(envelope, Envelope)
    return verify(envelope, kind, [ORGANIZATION.public_key(), RSA.public_key()], now)


def test_good_chain() -> None:
    assert isinstance(check(mint(GOOD, CHAIN_ISSUER)), ClientClaims)
    assert isinstance(check(mint(chained(server()), CHAIN_ISSUER), ServerClaims), ServerClaims)


def test_key_in_upper_case_is_vouched_for_in_lower_case() -> None:
    token_id, key = GOOD["iss"].removeprefix("C-").split(".")
    assert isinstance(check(mint(GOOD | {"iss": f"C-{token_id}.{key.upper()}"}, CHAIN_ISSUER)), ClientClaims)


def test_voucher_counts_as_written() -> None:
    # The chain issuer signs the text of the voucher, so writing it otherwise breaks its assignment.
    claims = GOOD | {"tcs": f"{VOUCHER.upper()}.{ASSIGNMENT}"}
    assert check(mint(claims, CHAIN_ISSUER)).fault is Fault.CHAIN


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"public_key": ""}, id="no key"),
        pytest.param({"tcs": ""}, id="no chain signature"),
        pytest.param({"tcs": VOUCHER}, id="one part"),
        pytest.param({"tcs": f"{VOUCHER}.{ASSIGNMENT}.{ASSIGNMENT}"}, id="three parts"),
        pytest.param({"tcs": f".{ASSIGNMENT}"}, id="no voucher"),
        pytest.param({"tcs": f"{VOUCHER}."}, id="no assignment"),
        pytest.param({"tcs": f"{VOUCHER[:-2]}.{ASSIGNMENT}"}, id="short voucher"),
        pytest.param({"tcs": f"{VOUCHER}.{'g' * 128}"}, id="assignment is not hex"),
        pytest.param({"tcs": f"{ASSIGNMENT}.{VOUCHER}"}, id="parts swapped"),
        pytest.param({"jti": ""}, id="no token id"),
        pytest.param({"jti": "x"}, id="bad token id"),
        pytest.param({"jti": ksuid(NOW - 60, random=8)}, id="another token id"),
        pytest.param({"jti": ksuid(NOW - 61)}, id="token id of another second"),
        pytest.param({"iat": 0}, id="no time of issue"),
        pytest.param({"exp": 0}, id="no expiry"),
        pytest.param({"issexp": 0}, id="no expiry of the issuer"),
        pytest.param({"iss": "C-"}, id="empty issuer"),
        pytest.param({"iss": f"C-{ksuid(NOW)}"}, id="issuer without key"),
        pytest.param({"iss": f"C-.{hex_of(CHAIN_ISSUER)}"}, id="issuer without id"),
        pytest.param({"iss": f"{GOOD['iss']}.x"}, id="issuer with three parts"),
        pytest.param({"iss": f"C-{ksuid(NOW)}.{hex_of(CHAIN_ISSUER)}"}, id="issuer with another id"),
    ],
)
def test_broken_chain(change: dict[str, object]) -> None:
    assert check(mint(GOOD | change, CHAIN_ISSUER)).fault is Fault.CHAIN


@pytest.mark.parametrize("name", ["public_key", "tcs", "jti", "iat", "exp", "issexp"])
def test_missing_part(name: str) -> None:
    claims = {key: value for key, value in GOOD.items() if key != name}
    assert check(mint(claims, CHAIN_ISSUER)).fault is Fault.CHAIN


def test_invented_chain_issuer() -> None:
    forged = chained(client(), organization=STRANGER, issuer=STRANGER)
    assert check(mint(forged, STRANGER)).fault is Fault.CHAIN


def test_chain_issuer_of_another_organization() -> None:
    foreign = chained(client(), organization=OTHER_ORGANIZATION)
    assert check(mint(foreign, CHAIN_ISSUER)).fault is Fault.CHAIN


def test_voucher_of_a_real_issuer_stolen_by_a_stranger() -> None:
    stolen = GOOD | {"iss": f"C-{GOOD['iss'].removeprefix('C-').split('.')[0]}.{hex_of(STRANGER)}"}
    assert check(mint(stolen, STRANGER)).fault is Fault.CHAIN


@pytest.mark.parametrize("signer", [ORGANIZATION, STRANGER, HOLDER])
def test_token_signed_by_anyone_but_its_chain_issuer(signer: Any) -> None:
    assert check(mint(GOOD, signer)).fault is Fault.SIGNATURE


def test_fourth_level() -> None:
    # The holder of a chain issued token tries to issue one itself.
    assignment = HOLDER.sign(f"{GOOD['jti']}.{GOOD['tcs']}".encode()).hex()
    claims = GOOD | {"iss": f"C-{GOOD['jti']}.{hex_of(HOLDER)}", "tcs": f"{GOOD['tcs']}.{assignment}"}
    assert check(mint(claims, HOLDER)).fault is Fault.CHAIN


@pytest.mark.parametrize(
    ("issuer_ends", "now", "believed"),
    [(NOW + 10, NOW + 9, True), (NOW + 10, NOW + 10, True), (NOW + 10, NOW + 10.5, False), (NOW + 10, NOW + 11, False)],
)
def test_expiry_of_the_chain_issuer(issuer_ends: int, now: float, *, believed: bool) -> None:
    result = check(mint(GOOD | {"issexp": issuer_ends}, CHAIN_ISSUER), now=now)
    assert isinstance(result, ClientClaims) if believed else result.fault is Fault.ISSUER_EXPIRED


def test_rsa_tokens_have_no_chain() -> None:
    assert check(mint(GOOD, RSA)).fault is Fault.CHAIN
    assert isinstance(check(mint(client(iss=GOOD["iss"]), RSA)), ClientClaims)


def test_chain_signature_without_chain_issuer_is_not_looked_at() -> None:
    claims = client(iss=f"I-{hex_of(ORGANIZATION)}", tcs="anything")
    assert isinstance(check(mint(claims)), ClientClaims)
    assert isinstance(check(mint(client(tcs="anything"))), ClientClaims)


def test_only_ed25519_signers_can_vouch() -> None:
    envelope = open_envelope(mint(GOOD, CHAIN_ISSUER))
    assert isinstance(envelope, Envelope)
    result = verify(envelope, ClientClaims, [RSA.public_key()], NOW)
    assert isinstance(result, Rejection)
    assert result.fault is Fault.CHAIN
