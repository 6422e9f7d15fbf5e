"""Making tokens for tests: good ones as the product issues them, and any kind of bad one."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from choria_broker.security import issuing, signing
from choria_broker.security.chain import CHAIN_PREFIX, assigned_text, vouched_text
from choria_broker.security.conditions import Condition
from choria_broker.security.keys import ed25519_verifies
from choria_broker.security.ksuid import RANDOM_BYTES, build
from choria_broker.security.tokens_claims import ClientClaims
from choria_broker.security.tokens_encoding import encode_base64url
from choria_broker.values import replace

VECTORS = Path(__file__).parents[1] / "vectors"

NOW = 1_800_000_000
"""Unix seconds at which test tokens are used."""

NONCE = "Zm9vYmFyYmF6cXV"
"""The challenge every test connection answers."""


def _private(name: str) -> Ed25519PrivateKey:
    seed = json.loads((VECTORS / "keys.json").read_text())["keys"][name]["seed_hex"]
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed))


def _rsa() -> RSAPrivateKey:
    key = signing.signing_key_from_file((VECTORS / "keys" / "rsa_private.pem").read_bytes())
    assert isinstance(key, RSAPrivateKey)
    return key


ORGANIZATION = _private("org_issuer")
OTHER_ORGANIZATION = _private("other_org_issuer")
CHAIN_ISSUER = _private("chain_issuer")
HOLDER = _private("client")
STRANGER = _private("attacker")
RSA = _rsa()


def hex_of(key: Ed25519PrivateKey) -> str:
    """Write the public half as 64 hex digits."""
    return signing.public_hex(key)


def verifies(condition: Condition) -> bool:
    """Tell whether the signature that a verdict left open is one."""
    key = Ed25519PublicKey.from_public_bytes(condition.key)
    return ed25519_verifies(key, condition.signature, condition.message)


def encoded(raw: bytes) -> str:
    """Write bytes as base64url without padding."""
    return encode_base64url(raw)


def mint(
    claims: Mapping[str, Any] | str, key: signing.SigningKey = ORGANIZATION, header: Mapping[str, Any] | None = None
) -> str:
    """Sign anything: claims as they are, text as a payload, under a header that says what it likes."""
    algorithm = "EdDSA" if isinstance(key, Ed25519PrivateKey) else "RS256"
    head = json.dumps({"alg": algorithm, "typ": "JWT"} if header is None else header)
    body = claims if isinstance(claims, str) else json.dumps(claims)
    signed = f"{encoded(head.encode())}.{encoded(body.encode())}"
    digest = {"RS384": hashes.SHA384(), "RS512": hashes.SHA512()}.get(str((header or {}).get("alg")))
    return f"{signed}.{encoded(signing.signature(key, signed.encode(), digest))}"


def proof(key: Ed25519PrivateKey = HOLDER, nonce: str = NONCE) -> str:
    """Answer a challenge."""
    return encoded(key.sign(nonce.encode()))


def ksuid(moment: int, random: int = 7) -> str:
    """Make a token id."""
    return build(moment, random.to_bytes(RANDOM_BYTES, "big"))


def client(**claims: Any) -> dict[str, Any]:
    """Write the claims of a client token; None leaves one out."""
    return _changed(issuing.ClientGrant(caller="up=alice", public_key=hex_of(HOLDER)), claims)


def by_token(key: signing.SigningKey = ORGANIZATION) -> dict[str, Any]:
    """Make the options of a NATS client that logs in now, with a client token that a key signed."""
    now = int(time.time())
    claims = client(permissions={"org_admin": True}, nbf=None, jti=None)
    return {
        "token": mint({**claims, "iat": now - 60, "exp": now + 3600}, key),
        "signature_cb": lambda nonce: proof(HOLDER, nonce).encode(),
    }


def server(**claims: Any) -> dict[str, Any]:
    """Write the claims of a server token; None leaves one out."""
    grant = issuing.ServerGrant(identity="node1.example.net", public_key=hex_of(HOLDER), collectives=["choria"])
    return _changed(grant, claims)


def provisioning(**claims: Any) -> dict[str, Any]:
    """Write the claims of a provisioning token; None leaves one out."""
    grant = issuing.ProvisioningGrant(access_token="x", secure=True, urls=["broker.example.net:4222"])
    return _changed(grant, claims)


def chained(
    claims: Mapping[str, Any],
    organization: Ed25519PrivateKey = ORGANIZATION,
    issuer: Ed25519PrivateKey = CHAIN_ISSUER,
    **changes: Any,
) -> dict[str, Any]:
    """Add to claims what a chain issuer adds; the token then has to be signed by that issuer."""
    issuer_id = ksuid(NOW - 600, random=9)
    voucher = organization.sign(vouched_text(issuer_id, hex_of(issuer))).hex()
    return _merged({**claims, **_origin(claims["jti"], issuer_id, voucher, NOW + 7200, issuer)}, changes)


def chain_issued(
    grant: issuing.ClientGrant | issuing.ServerGrant,
    issuer: ClientClaims,
    key: Ed25519PrivateKey,
    birth: issuing.Birth,
) -> str:
    """Make a token as the holder of a chain issuer's token does."""
    assert issuer.expires is not None
    birth = replace(birth, expires=min(birth.expires, issuer.expires))
    origin = _origin(birth.token_id, issuer.token_id, issuer.trust_chain, issuer.expires, key)
    return signing.sign_token(issuing.claims(grant, birth, origin), key)


def _origin(token_id: str, issuer_id: str, voucher: str, expires: int, key: Ed25519PrivateKey) -> dict[str, object]:
    assignment = key.sign(assigned_text(token_id, voucher)).hex()
    return {
        "tcs": f"{voucher}.{assignment}",
        "iss": f"{CHAIN_PREFIX}{issuer_id}.{hex_of(key)}",
        "issexp": expires,
    }


def _changed(grant: issuing.Grant, changes: Mapping[str, Any]) -> dict[str, Any]:
    birth = issuing.Birth(NOW - 60, NOW + 3600, (7).to_bytes(RANDOM_BYTES, "big"))
    return _merged(issuing.claims(grant, birth), changes)


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**base, **changes}.items() if value is not None}
