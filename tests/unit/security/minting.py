"""Making tokens for tests: good ones, and any kind of bad one."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

VECTORS = Path(__file__).parents[2] / "vectors"

NOW = 1_800_000_000
"""Unix seconds at which test tokens are used."""

NONCE = "Zm9vYmFyYmF6cXV"
"""The challenge every test connection answers."""

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def _private(name: str) -> Ed25519PrivateKey:
    seed = json.loads((VECTORS / "keys.json").read_text())["keys"][name]["seed_hex"]
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed))


def _rsa() -> RSAPrivateKey:
    key = load_pem_private_key((VECTORS / "keys" / "rsa_private.pem").read_bytes(), password=None)
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
    return key.public_key().public_bytes_raw().hex()


def encoded(raw: bytes) -> str:
    """Write bytes as base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def mint(
    claims: Mapping[str, Any] | str,
    key: Ed25519PrivateKey | RSAPrivateKey = ORGANIZATION,
    header: Mapping[str, Any] | None = None,
) -> str:
    """Sign claims; text is taken as the payload as it is."""
    algorithm = "EdDSA" if isinstance(key, Ed25519PrivateKey) else "RS256"
    head = json.dumps({"alg": algorithm, "typ": "JWT"} if header is None else header)
    body = claims if isinstance(claims, str) else json.dumps(claims)
    signed = f"{encoded(head.encode())}.{encoded(body.encode())}"
    if isinstance(key, Ed25519PrivateKey):
        return f"{signed}.{encoded(key.sign(signed.encode()))}"
    digest = {"RS384": hashes.SHA384(), "RS512": hashes.SHA512()}.get((header or {}).get("alg", ""), hashes.SHA256())
    return f"{signed}.{encoded(key.sign(signed.encode(), padding.PKCS1v15(), digest))}"


def proof(key: Ed25519PrivateKey = HOLDER, nonce: str = NONCE) -> str:
    """Answer a challenge."""
    return encoded(key.sign(nonce.encode()))


def ksuid(moment: int, random: int = 7) -> str:
    """Make a token id."""
    value = (moment - 1_400_000_000 << 128) + random
    digits = ""
    while value:
        value, digit = divmod(value, 62)
        digits = _BASE62[digit] + digits
    return digits.rjust(27, "0")


def client(**claims: Any) -> dict[str, Any]:
    """Write the claims of a client token; None leaves one out."""
    base = {
        "purpose": "choria_client_id",
        "callerid": "up=alice",
        "ou": "choria",
        "public_key": hex_of(HOLDER),
        "iss": "Choria Tokens Package",
        "iat": NOW - 60,
        "nbf": NOW - 60,
        "exp": NOW + 3600,
        "jti": ksuid(NOW - 60),
    }
    return _merged(base, claims)


def server(**claims: Any) -> dict[str, Any]:
    """Write the claims of a server token; None leaves one out."""
    base = client(callerid=None) | {
        "purpose": "choria_server",
        "identity": "node1.example.net",
        "collectives": ["choria"],
    }
    return _merged(base, claims)


def provisioning(**claims: Any) -> dict[str, Any]:
    """Write the claims of a provisioning token; None leaves one out."""
    base = client(callerid=None, public_key=None) | {
        "purpose": "choria_provisioning",
        "sub": "choria_provisioning",
        "cht": "x",
        "chs": True,
        "extensions": None,
    }
    return _merged(base, claims)


def chained(
    claims: Mapping[str, Any],
    organization: Ed25519PrivateKey = ORGANIZATION,
    issuer: Ed25519PrivateKey = CHAIN_ISSUER,
    **changes: Any,
) -> dict[str, Any]:
    """Add to claims what a chain issuer adds; the token then has to be signed by that issuer."""
    issuer_id = ksuid(NOW - 600, random=9)
    voucher = organization.sign(f"{issuer_id}.{hex_of(issuer)}".encode()).hex()
    assignment = issuer.sign(f"{claims['jti']}.{voucher}".encode()).hex()
    added = {
        "iss": f"C-{issuer_id}.{hex_of(issuer)}",
        "tcs": f"{voucher}.{assignment}",
        "issexp": NOW + 7200,
    }
    return _merged(dict(claims) | added, changes)


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**base, **changes}.items() if value is not None}
