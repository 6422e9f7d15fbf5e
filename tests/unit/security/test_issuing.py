"""Tokens made here: the same bytes as Choria's own tools make, and believed by the verification."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from choria_broker.security.chain import names_issuer
from choria_broker.security.issuing import (
    Birth,
    ClientGrant,
    Grant,
    IssuingError,
    ProvisioningGrant,
    ServerGrant,
    issue,
    issue_chain_issuer,
)
from choria_broker.security.ksuid import EPOCH
from choria_broker.security.signing import SigningKey
from choria_broker.security.token_permissions import ClientPermission, ServerPermission
from choria_broker.security.tokens import Envelope, Fault, Rejection, open_envelope, verify
from choria_broker.security.tokens_claims import Claims, ClientClaims, claims_of
from choria_broker.values import replace
from support.minting import CHAIN_ISSUER, HOLDER, NOW, ORGANIZATION, RSA, STRANGER, VECTORS, chain_issued, hex_of

CLI = json.loads((VECTORS / "cli-tokens.json").read_text())
BIRTH = Birth(NOW - 60, NOW + 3600, bytes(range(16)))
CLIENT = ClientGrant(caller="up=alice", public_key=hex_of(HOLDER))
SERVER = ServerGrant(identity="node1.example.net", public_key=hex_of(HOLDER), collectives=["choria"])
PROVISIONING = ProvisioningGrant(access_token="s3cret", urls=["prov.example.net:4222"])
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def opened(token: str) -> Envelope:
    envelope = open_envelope(token)
    assert isinstance(envelope, Envelope)
    return envelope


def believed(token: str, now: float = NOW, key: SigningKey = ORGANIZATION) -> Claims | Rejection:
    envelope = opened(token)
    kind = claims_of(envelope.payload)
    assert kind
    return verify(envelope, kind, [key.public_key()], now)


def chain_issuer(expires: int = NOW + 3600) -> ClientClaims:
    grant = ClientGrant(caller="login", public_key=hex_of(CHAIN_ISSUER))
    claims = believed(issue_chain_issuer(grant, ORGANIZATION, replace(BIRTH, expires=expires)))
    assert isinstance(claims, ClientClaims)
    return claims


def birth_of(claims: dict[str, Any]) -> Birth:
    value = 0
    for digit in claims["jti"]:
        value = value * 62 + ALPHABET.index(digit)
    return Birth(claims["iat"], claims["exp"], (value & (1 << 128) - 1).to_bytes(16, "big"))


KEYS = {name: key["public_hex"] for name, key in CLI["keys"].items()}
GRANTS: list[tuple[Callable[[Any, Ed25519PrivateKey, Birth], str], Grant]] = [
    (issue_chain_issuer, ClientGrant(caller="aaa_login", public_key=KEYS["aaa"])),
    (
        issue,
        ClientGrant(
            caller="up=bob",
            public_key=KEYS["u"],
            permissions={
                ClientPermission.FLEET_MANAGEMENT,
                ClientPermission.STREAMS_USER,
                ClientPermission.GOVERNOR,
            },
            publish_subjects=["a.b"],
        ),
    ),
    (
        issue,
        ServerGrant(
            identity="node1.example.net",
            public_key=KEYS["u"].upper(),
            collectives=["choria"],
            permissions={ServerPermission.SUBMISSION},
        ),
    ),
    (
        issue,
        ProvisioningGrant(access_token="s3cret", urls=["prov.example.net:4222"], by_default=True, protocol_v2=True),
    ),
]


@pytest.mark.parametrize(
    ("made", "entry"), list(zip(GRANTS, CLI["tokens"], strict=True)), ids=["issuer", "client", "server", "provisioning"]
)
def test_byte_for_byte_the_token_of_the_choria_command_line(made: Any, entry: dict[str, Any]) -> None:
    make, grant = made
    organization = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(CLI["keys"]["org"]["seed_hex"]))
    assert make(grant, organization, birth_of(entry["claims"])) == entry["token"]


@pytest.mark.parametrize("key", [ORGANIZATION, RSA], ids=["ed25519", "rsa"])
@pytest.mark.parametrize("grant", [CLIENT, SERVER, PROVISIONING], ids=lambda grant: grant.PURPOSE)
def test_own_tokens_are_believed(grant: Grant, key: SigningKey) -> None:
    claims = believed(issue(grant, key, BIRTH), key=key)
    assert isinstance(claims, Claims)
    assert (claims.purpose, claims.organization) == (grant.PURPOSE, "choria")
    assert (claims.issued_at, claims.not_before, claims.expires) == (NOW - 60, NOW - 60, NOW + 3600)
    assert claims.token_id == BIRTH.token_id


@pytest.mark.parametrize(
    ("now", "fault"), [(NOW - 121, Fault.NOT_YET_VALID), (NOW + 3600, Fault.EXPIRED)], ids=["before", "after"]
)
def test_own_tokens_are_believed_for_their_time_only(now: int, fault: Fault) -> None:
    result = believed(issue(CLIENT, ORGANIZATION, BIRTH), now)
    assert isinstance(result, Rejection)
    assert result.fault is fault


def test_everything_a_client_grant_says() -> None:
    grant = ClientGrant(
        caller="up=zoë",
        public_key=hex_of(HOLDER),
        organization="other",
        permissions=set(ClientPermission),
        agents=["rpcutil", "package"],
        opa_policy="package x\n",
        user_properties={"team": "night"},
        publish_subjects=["a.>"],
        subscribe_subjects=["b.* workers"],
    )
    payload = opened(issue(grant, ORGANIZATION, BIRTH)).payload
    assert payload == {
        "callerid": "up=zoë",
        "agents": ["rpcutil", "package"],
        "ou": "other",
        "user_properties": {"team": "night"},
        "opa_policy": "package x\n",
        "permissions": dict.fromkeys(ClientPermission, True),
        "pub_subjects": ["a.>"],
        "sub_subjects": ["b.* workers"],
        "purpose": "choria_client_id",
        "public_key": hex_of(HOLDER),
        "iss": "Choria Tokens Package v0.0.1",
        "exp": NOW + 3600,
        "nbf": NOW - 60,
        "iat": NOW - 60,
        "jti": BIRTH.token_id,
    }


def test_everything_a_provisioning_grant_says() -> None:
    grant = ProvisioningGrant(
        access_token="t",
        secure=True,
        urls=["a:1", "b:2"],
        srv_domain="example.net",
        by_default=True,
        registration="/r.json",
        facts="/f.json",
        username="u",
        password="p",
        extensions={"site": {"id": 1}},
        organization="",
        protocol_v2=True,
        upgradable=True,
    )
    payload = opened(issue(grant, ORGANIZATION, BIRTH)).payload
    assert {name: value for name, value in payload.items() if name not in {"exp", "nbf", "iat", "jti", "iss"}} == {
        "cht": "t",
        "chs": True,
        "chu": "a:1,b:2",
        "chsrv": "example.net",
        "chpd": True,
        "chrd": "/r.json",
        "chf": "/f.json",
        "chusr": "u",
        "chpwd": "p",
        "extensions": {"site": {"id": 1}},
        "v2": True,
        "update": True,
        "purpose": "choria_provisioning",
        "sub": "choria_provisioning",
    }


def test_secrets_are_not_in_a_repr() -> None:
    assert "s3cret" not in repr(PROVISIONING)


@pytest.mark.parametrize(
    ("grant", "problem"),
    [
        (ClientGrant(caller=""), "caller"),
        (ClientGrant(caller="x", public_key="zz"), "public key"),
        (ClientGrant(caller="x\udcff"), "UTF-8"),
        (ServerGrant(identity="", public_key=hex_of(HOLDER), collectives=[]), "identity"),
        (ServerGrant(identity="n", public_key="", collectives=[]), "public key"),
        (ServerGrant(identity="n", public_key="0" * 63, collectives=[]), "public key"),
        (
            ServerGrant(
                identity="n",
                public_key=hex_of(HOLDER),
                collectives=[],
                permissions=[ServerPermission.GOVERNOR],
            ),
            "streams",
        ),
        (ProvisioningGrant(access_token="s3cret"), "URLs"),
        (ProvisioningGrant(access_token="s3cret", urls=["a:1"], extensions={"a": float("inf")}), "infinite"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_grants_that_cannot_be_made(grant: Grant, problem: str) -> None:
    with pytest.raises(IssuingError, match=problem) as caught:
        issue(grant, ORGANIZATION, BIRTH)
    assert "s3cret" not in str(caught.value)


def test_chain_issuer() -> None:
    claims = believed(issue_chain_issuer(CLIENT, ORGANIZATION, BIRTH))
    assert isinstance(claims, ClientClaims)
    assert claims.issuer == f"I-{hex_of(ORGANIZATION)}"
    assert names_issuer(claims.issuer, claims.trust_chain, claims.token_id, claims.public_key)


@pytest.mark.parametrize(
    ("grant", "key", "problem"),
    [(ClientGrant(caller="x"), ORGANIZATION, "public key"), (CLIENT, RSA, "ed25519")],
    ids=["no key", "rsa"],
)
def test_chain_issuers_that_cannot_be_made(grant: ClientGrant, key: SigningKey, problem: str) -> None:
    with pytest.raises(IssuingError, match=problem):
        issue_chain_issuer(grant, key, BIRTH)


@pytest.mark.parametrize("grant", [CLIENT, SERVER], ids=["client", "server"])
def test_chain_issued_tokens_are_believed(grant: ClientGrant | ServerGrant) -> None:
    claims = believed(chain_issued(grant, chain_issuer(), CHAIN_ISSUER, BIRTH))
    assert isinstance(claims, Claims)
    assert claims.issuer == f"C-{chain_issuer().token_id}.{hex_of(CHAIN_ISSUER)}"
    result = believed(chain_issued(grant, chain_issuer(), CHAIN_ISSUER, BIRTH), key=STRANGER)
    assert isinstance(result, Rejection)


def test_a_chain_issued_token_ends_with_its_issuer() -> None:
    payload = opened(chain_issued(CLIENT, chain_issuer(NOW + 100), CHAIN_ISSUER, BIRTH)).payload
    assert (payload["exp"], payload["issexp"]) == (NOW + 100, NOW + 100)
    payload = opened(chain_issued(CLIENT, chain_issuer(NOW + 9000), CHAIN_ISSUER, BIRTH)).payload
    assert (payload["exp"], payload["issexp"]) == (NOW + 3600, NOW + 9000)


def names(claims: ClientClaims) -> bool:
    return names_issuer(claims.issuer, claims.trust_chain, claims.token_id, claims.public_key)


def test_only_the_token_of_a_chain_issuer_names_one() -> None:
    plain = believed(issue(CLIENT, ORGANIZATION, BIRTH))
    issuer = believed(issue_chain_issuer(CLIENT, ORGANIZATION, BIRTH))
    assert isinstance(plain, ClientClaims)
    assert isinstance(issuer, ClientClaims)
    assert names(issuer)
    for claims in (
        plain,
        structs.replace(issuer, token_id=""),
        structs.replace(issuer, issuer=f"I-{hex_of(STRANGER)}"),
        structs.replace(issuer, issuer="I-x"),
        structs.replace(issuer, trust_chain="x"),
        structs.replace(issuer, public_key=hex_of(STRANGER)),
    ):
        assert not names(claims)


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30),
    st.sets(st.sampled_from(ClientPermission)),
    st.integers(EPOCH, EPOCH + 2**32 - 2),
    st.binary(min_size=16, max_size=16),
)
def test_any_grant_comes_back(caller: str, permissions: set[ClientPermission], moment: int, random: bytes) -> None:
    grant = ClientGrant(caller=caller, public_key=hex_of(HOLDER), permissions=permissions)
    claims = believed(issue(grant, ORGANIZATION, Birth(moment, moment + 1, random)), moment)
    assert isinstance(claims, ClientClaims)
    assert claims.caller == caller
    assert claims.permissions == frozenset(permissions)
