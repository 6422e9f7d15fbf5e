"""Envelopes, claims and validity of tokens."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.security.keys import VerificationKey, ed25519_from_hex
from choria_broker.security.token_permissions import ClientPermission, ServerPermission
from choria_broker.security.tokens import Envelope, Fault, Rejection, open_envelope, verify
from choria_broker.security.tokens_claims import Claims, ClientClaims, ProvisioningClaims, Purpose, ServerClaims
from support.minting import (
    CHAIN_ISSUER,
    NOW,
    ORGANIZATION,
    RSA,
    STRANGER,
    VECTORS,
    chained,
    client,
    encoded,
    hex_of,
    ksuid,
    mint,
    provisioning,
    server,
)

CLI = json.loads((VECTORS / "cli-tokens.json").read_text())
KINDS: dict[str, type[Claims]] = {
    Purpose.CLIENT: ClientClaims,
    Purpose.SERVER: ServerClaims,
    Purpose.PROVISIONING: ProvisioningClaims,
}


def check(token: str, kind: type[Claims] = ClientClaims, now: float = NOW, key: Any = ORGANIZATION) -> Any:
    envelope = open_envelope(token)
    if isinstance(envelope, Rejection):
        return envelope
    return verify(envelope, kind, [key.public_key()], now)


@pytest.mark.parametrize("entry", CLI["tokens"], ids=lambda entry: entry["claims"]["purpose"])
def test_tokens_of_the_choria_command_line(entry: dict[str, Any]) -> None:
    envelope = open_envelope(entry["token"] + "\n")
    assert isinstance(envelope, Envelope)
    assert envelope.payload == entry["claims"]
    key = ed25519_from_hex(CLI["keys"]["org"]["public_hex"])
    claims = verify(envelope, KINDS[envelope.purpose], [key], entry["claims"]["iat"])
    assert isinstance(claims, Claims)
    assert claims.token_id == entry["claims"]["jti"]
    assert claims.expires == entry["claims"]["exp"]


@pytest.mark.parametrize(
    ("kind", "claims"), [(ClientClaims, client()), (ServerClaims, server()), (ProvisioningClaims, provisioning())]
)
@pytest.mark.parametrize("key", [ORGANIZATION, RSA], ids=["ed25519", "rsa"])
def test_good_tokens(kind: type[Claims], claims: dict[str, Any], key: Any) -> None:
    assert isinstance(check(mint(claims, key), kind, key=key), kind)


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512"])
def test_rsa_digests(algorithm: str) -> None:
    assert isinstance(check(mint(client(), RSA, {"alg": algorithm}), key=RSA), ClientClaims)


def test_digest_other_than_the_header_says() -> None:
    head, body, _ = mint(client(), RSA, {"alg": "RS512"}).split(".")
    assert check(f"{head}.{body}.{mint(client(), RSA).split('.')[2]}", key=RSA).fault is Fault.SIGNATURE


@pytest.mark.parametrize("space", ["\n", "\r\n", " \t", "\n\n"])
def test_white_space_around(space: str) -> None:
    assert isinstance(check(space + mint(client()) + space), ClientClaims)


def test_other_headers_are_ignored() -> None:
    header = {"alg": "EdDSA", "typ": "other", "kid": 1, "crit": ["exp"], "jku": "https://example.net"}
    assert isinstance(check(mint(client(), header=header)), ClientClaims)


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "HS256", "HS512", "ES256", "PS256", "eddsa", "Ed25519", "", 1, None, []]
)
def test_other_algorithms(algorithm: object) -> None:
    assert check(mint(client(), header={"alg": algorithm})).fault is Fault.ALGORITHM
    assert check(mint(client(), header={})).fault is Fault.ALGORITHM


def test_public_key_as_shared_secret() -> None:
    head = encoded(b'{"alg":"HS256"}')
    body = mint(client()).split(".")[1]
    mac = hmac.digest(bytes.fromhex(hex_of(ORGANIZATION)), f"{head}.{body}".encode(), hashlib.sha256)
    assert check(f"{head}.{body}.{encoded(mac)}").fault is Fault.ALGORITHM


@pytest.mark.parametrize(("signer", "trusted"), [(ORGANIZATION, RSA), (RSA, ORGANIZATION), (STRANGER, ORGANIZATION)])
def test_key_of_another_kind_or_owner(signer: Any, trusted: Any) -> None:
    assert check(mint(client(), signer), key=trusted).fault is Fault.SIGNATURE


def test_any_of_several_signers() -> None:
    envelope = open_envelope(mint(client()))
    assert isinstance(envelope, Envelope)
    keys: list[VerificationKey] = [RSA.public_key(), STRANGER.public_key(), ORGANIZATION.public_key()]
    assert isinstance(verify(envelope, ClientClaims, keys, NOW), ClientClaims)
    assert isinstance(verify(envelope, ClientClaims, [], NOW), Rejection)


def _malformed() -> list[Any]:
    good = mint(client())
    head, body, signature = good.split(".")
    utf16 = encoded(json.dumps(client()).encode("utf-16"))
    return [
        pytest.param("", id="nothing"),
        pytest.param(" \n", id="space"),
        pytest.param("..", id="dots"),
        pytest.param(f"{head}.{body}", id="two parts"),
        pytest.param(f"{good}.{signature}", id="four parts"),
        pytest.param("." * 60_000, id="many parts"),
        pytest.param(f"bearer {good}", id="bearer"),
        pytest.param(f"Bearer {good}", id="Bearer"),
        pytest.param(f"{head}.{body}=.{signature}", id="padding"),
        pytest.param(f"{head}. {body}.{signature}", id="space inside"),
        pytest.param(f"{head}.{body}!.{signature}", id="foreign character"),
        pytest.param(f"{head}.{body}.{signature}\ud800", id="half a pair"),
        pytest.param(f"{head}.{body}.\u0661", id="not ASCII"),
        pytest.param(f"{head}.{encoded(b'[]')}.{signature}", id="claims are a list"),
        pytest.param(f"{encoded(b'1')}.{body}.{signature}", id="header is a number"),
        pytest.param(f"{head}.{encoded(b'{} {}')}.{signature}", id="two objects"),
        pytest.param(f"{head}.{encoded(b'{')}.{signature}", id="cut JSON"),
        pytest.param(f"{head}.{encoded(bytes([0xFF]))}.{signature}", id="not UTF-8"),
        pytest.param(f"{head}.{utf16}.{signature}", id="UTF-16"),
        pytest.param(mint('{"exp": NaN}'), id="NaN"),
        pytest.param(mint('{"exp": Infinity}'), id="infinity"),
        pytest.param(mint('{"exp": ' + "9" * 5000 + "}"), id="number without end"),
        pytest.param(mint('{"a":' * 12_000 + "1" + "}" * 12_000), id="deep objects"),
        pytest.param(mint("[" * 40_000), id="deep lists"),
        pytest.param(mint(client(agents=["x" * 70_000])), id="huge"),
    ]


@pytest.mark.parametrize("token", _malformed())
def test_malformed(token: str) -> None:
    envelope = open_envelope(token)

    assert isinstance(envelope, Rejection)
    assert envelope.fault is Fault.MALFORMED


@pytest.mark.parametrize(
    ("kind", "claims"),
    [
        (ClientClaims, client(permissions=["org_admin"])),
        (ClientClaims, client(permissions="org_admin")),
        (ClientClaims, client(permissions={"org_admin": 1})),
        (ClientClaims, client(permissions={"org_admin": "true"})),
        (ClientClaims, client(callerid=1)),
        (ClientClaims, client(callerid=["up=alice"])),
        (ClientClaims, client(callerid="\ud800")),
        (ClientClaims, client(ou=1)),
        (ClientClaims, client(pub_subjects="a.b")),
        (ClientClaims, client(sub_subjects=[1])),
        (ClientClaims, client(sub_subjects=[[]])),
        (ClientClaims, client(agents={"a": 1})),
        (ClientClaims, client(user_properties={"a": 1})),
        (ClientClaims, client(user_properties=[])),
        (ClientClaims, client(opa_policy={})),
        (ClientClaims, client(public_key=1)),
        (ClientClaims, client(exp=str(NOW + 60))),
        (ClientClaims, client(exp=True)),
        (ClientClaims, client(nbf=[1])),
        (ClientClaims, client(iat={})),
        (ClientClaims, client(jti=1)),
        (ClientClaims, client(sub=1)),
        (ClientClaims, client(aud=1)),
        (ClientClaims, client(aud=[1])),
        (ServerClaims, server(collectives="choria")),
        (ServerClaims, server(identity=1)),
        (ServerClaims, server(permissions={"streams": 1})),
        (ServerClaims, server(pub_subjects={})),
        (ProvisioningClaims, provisioning(chs="true")),
        (ProvisioningClaims, provisioning(chu=["broker:4222"])),
        (ProvisioningClaims, provisioning(extensions=[])),
        (ProvisioningClaims, provisioning(v2=1)),
    ],
    ids=str,
)
def test_wrong_types(kind: type[Claims], claims: dict[str, Any]) -> None:
    assert check(mint(claims), kind).fault is Fault.CLAIMS


@pytest.mark.parametrize("purpose", [1, ["choria_client_id"], {}, True])
def test_purpose_of_a_wrong_type(purpose: object) -> None:
    assert check(mint(client(purpose=purpose))).fault is Fault.CLAIMS


def test_number_too_large_for_a_moment() -> None:
    assert check(mint('{"purpose": "choria_client_id", "exp": 1e999}')).fault is Fault.CLAIMS


@pytest.mark.parametrize(
    ("kind", "claims"),
    [
        (ClientClaims, client(callerid="")),
        (ClientClaims, client(callerid=None)),
        (ClientClaims, client(public_key=None)),
        (ServerClaims, server(identity="")),
        (ServerClaims, server(public_key="")),
    ],
)
def test_empty_claims(kind: type[Claims], claims: dict[str, Any]) -> None:
    assert check(mint(claims), kind).fault is Fault.CLAIMS


def test_claims_that_are_null_are_absent() -> None:
    text = json.dumps(client()).removesuffix("}") + ', "exp": null, "permissions": null, "pub_subjects": null}'
    claims = check(mint(text))
    assert isinstance(claims, ClientClaims)
    assert (claims.expires, claims.permissions, claims.publish_subjects) == (None, frozenset(), ())


def test_unknown_claims_and_flags_are_ignored_and_names_match_exactly() -> None:
    extra = {"Permissions": {"org_admin": True}, "CALLERID": "up=root", "x": {"y": [1]}}
    claims = check(mint(client(**extra, permissions={"ORG_ADMIN": True, "future": [1], "streams_user": True})))
    assert isinstance(claims, ClientClaims)
    assert claims.caller == "up=alice"
    assert claims.permissions == {ClientPermission.STREAMS_USER}


@pytest.mark.parametrize("audience", ["anybody", ["a", "b"], []])
def test_audience_is_never_looked_at(audience: object) -> None:
    assert isinstance(check(mint(client(aud=audience))), ClientClaims)


def test_flags_that_are_false_are_not_held() -> None:
    claims = check(mint(server(permissions={"streams": False, "submission": True})), ServerClaims)
    assert isinstance(claims, ServerClaims)
    assert claims.permissions == {ServerPermission.SUBMISSION}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"exp": NOW + 1}, None),
        ({"exp": NOW}, Fault.EXPIRED),
        ({"exp": NOW + 0.9}, Fault.EXPIRED),
        ({"exp": 0}, Fault.EXPIRED),
        ({"exp": -1}, Fault.EXPIRED),
        ({"exp": -(10**300)}, Fault.EXPIRED),
        ({"exp": 10**300}, None),
        ({"exp": None}, None),
        ({"nbf": NOW}, None),
        ({"nbf": NOW + 0.9}, None),
        ({"nbf": NOW + 1}, None),
        ({"nbf": NOW + 60}, None),
        ({"nbf": NOW + 61}, Fault.NOT_YET_VALID),
        ({"nbf": 10**300}, Fault.NOT_YET_VALID),
        ({"nbf": None}, None),
        ({"iat": NOW}, None),
        ({"iat": NOW + 1}, None),
        ({"iat": NOW + 60}, None),
        ({"iat": NOW + 61}, Fault.FUTURE),
        ({"iat": NOW + 60, "nbf": NOW + 60}, None),
        ({"iat": NOW + 60, "nbf": NOW + 61}, Fault.NOT_YET_VALID),
        ({"iat": NOW + 60, "exp": NOW}, Fault.EXPIRED),
        ({"iat": None}, None),
        ({"exp": None, "nbf": None, "iat": None}, None),
    ],
    ids=str,
)
@pytest.mark.parametrize(
    ("kind", "make"), [(ClientClaims, client), (ServerClaims, server), (ProvisioningClaims, provisioning)]
)
def test_times(kind: type[Claims], make: Any, changes: dict[str, Any], fault: Fault | None) -> None:
    result = check(mint(make(**changes)), kind)
    assert isinstance(result, kind) if fault is None else result.fault is fault


@pytest.mark.parametrize("now", [NOW - 120, NOW - 120.001])
def test_moments_are_compared_exactly(now: float) -> None:
    result = check(mint(client()), now=now)  # issued a minute before NOW
    assert isinstance(result, ClientClaims) is (now >= NOW - 120)


@pytest.mark.parametrize(("ahead", "fault"), [(60, None), (61, Fault.FUTURE)])
@pytest.mark.parametrize(("kind", "make"), [(ClientClaims, client), (ServerClaims, server)])
def test_chains_of_a_fast_clock(kind: type[Claims], make: Any, ahead: int, fault: Fault | None) -> None:
    moment = NOW + ahead
    claims = chained(make(iat=moment, nbf=NOW, jti=ksuid(moment)))
    result = check(mint(claims, CHAIN_ISSUER), kind)
    assert isinstance(result, kind) if fault is None else result.fault is fault


def test_the_end_of_a_chain_issuer_has_no_leeway() -> None:
    result = check(mint(chained(client(), issexp=NOW - 1), CHAIN_ISSUER), ClientClaims)
    assert isinstance(result, Rejection)
    assert result.fault is Fault.ISSUER_EXPIRED


@pytest.mark.parametrize(
    ("claims", "believed"),
    [
        (provisioning(), True),
        (provisioning(purpose=""), True),
        (provisioning(purpose=None), True),
        (provisioning(sub=None), True),
        (provisioning(purpose=None, sub=None), False),
        (client(), False),
        (server(), False),
    ],
)
def test_purpose_of_provisioning_tokens(claims: dict[str, Any], *, believed: bool) -> None:
    result = check(mint(claims), ProvisioningClaims)
    assert isinstance(result, ProvisioningClaims) if believed else result.fault is Fault.PURPOSE


@pytest.mark.parametrize(
    ("kind", "claims"),
    [(ClientClaims, server(callerid="up=alice")), (ServerClaims, client(identity="n")), (ClientClaims, provisioning())],
)
def test_other_purposes(kind: type[Claims], claims: dict[str, Any]) -> None:
    assert check(mint(claims), kind).fault is Fault.PURPOSE


@pytest.mark.parametrize(
    ("changes", "fault"), [({}, None), ({"issexp": NOW - 1}, Fault.ISSUER_EXPIRED), ({"issexp": None}, Fault.CHAIN)]
)
def test_provisioning_tokens_go_back_to_the_organization_itself(changes: dict[str, Any], fault: Fault | None) -> None:
    claims = chained(provisioning(), **changes)
    assert check(mint(claims, CHAIN_ISSUER), ProvisioningClaims).fault is Fault.SIGNATURE
    result = check(mint(claims), ProvisioningClaims)
    assert isinstance(result, ProvisioningClaims) if fault is None else result.fault is fault


@given(st.text(max_size=300))
def test_no_text_opens_by_accident(text: str) -> None:
    assert isinstance(open_envelope(text), Rejection)


def test_a_number_too_large_for_any_clock_is_only_a_late_moment() -> None:
    claims = ClientClaims.read({**client(), "exp": 10**400})
    assert claims.expires == 10**400


@pytest.mark.parametrize(
    ("claims", "told"),
    [
        ({"collectives": [f"c{number}" for number in range(64)]}, ""),
        ({"collectives": [f"c{number}" for number in range(65)]}, "claim collectives has more than 64 entries"),
        ({"identity": "x" * 255}, ""),
        ({"identity": "x" * 256}, "claim identity has more than 255 characters"),
        ({"pub_subjects": [f"s.{number}" for number in range(360)]}, ""),
        ({"pub_subjects": [f"s.{number}" for number in range(500)]}, "header or claims have more than 400 values"),
        ({"opa_policy": "deny, [and] {allow}" * 100}, ""),
        ({"exp": 10**4000}, ""),
    ],
)
def test_how_much_a_token_may_say(claims: dict[str, object], told: str) -> None:
    envelope = open_envelope(mint(server(**claims)))
    outcome = (
        envelope
        if isinstance(envelope, Rejection)
        else verify(envelope, ServerClaims, (ORGANIZATION.public_key(),), NOW)
    )
    if told:
        assert outcome == Rejection(Fault.CLAIMS, told)
    else:
        assert isinstance(outcome, ServerClaims)


def test_the_longest_token() -> None:
    longest = "x" * 8188 + ".y.z"
    assert open_envelope(longest) == Rejection(
        Fault.MALFORMED, "the token is not base64url of JSON objects and a signature"
    )
    assert open_envelope(f"x{longest}") == Rejection(Fault.MALFORMED, "the token has more than 8192 characters")
