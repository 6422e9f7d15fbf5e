"""Questions for the policy, and the policy they are put to: an organization issuer, and certificates without one."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from choria_broker.access.policy import Policy
from choria_broker.access.request import ConnectRequest
from choria_broker.security.keys import SignatureCheck
from choria_broker.values import replace
from support.minting import CHAIN_ISSUER, NOW, ORGANIZATION, chained, client, hex_of, ksuid, mint, proof
from support.policy_cases import ANON, CERTIFIED, ISSUERS, PLAIN

MOMENT = float(NOW)
"""Unix seconds at which the questions are asked."""


def policy(signed_by: SignatureCheck, *, issuers: bool = True) -> Policy:
    """Make the policy.

    Args:
        signed_by: checks signatures of tokens.
        issuers: with organization issuers; without them certificates are enough.
    """
    return replace(ISSUERS if issuers else PLAIN, signed_by=signed_by)


def with_tokens(count: int, *, chain: bool = False) -> list[ConnectRequest]:
    """Ask for clients with a token, a key and a nonce of their own each.

    Args:
        count: how many.
        chain: the tokens are of a chain issuer instead of the organization itself.
    """
    asked = []
    for number in range(count):
        key = Ed25519PrivateKey.generate()
        claims = client(
            callerid=f"up=user{number}",
            public_key=hex_of(key),
            jti=ksuid(NOW - 60, random=number + 1),
            permissions={"fleet_management": True},
        )
        token = mint(chained(claims), CHAIN_ISSUER) if chain else mint(claims, ORGANIZATION)
        nonce = f"nonce{number:010d}"
        asked.append(replace(ANON, token=token, jwt=token, nonce=nonce, signature=proof(key, nonce)))
    return asked


def with_certificates(count: int) -> list[ConnectRequest]:
    """Ask for connections with a verified certificate and no token."""
    return [replace(CERTIFIED, connection_id=number) for number in range(count)]
