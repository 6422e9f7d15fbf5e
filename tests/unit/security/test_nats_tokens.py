"""Keys and tokens of NATS."""

from __future__ import annotations

import base64
import itertools
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.security.nats_tokens import (
    NatsTokenError,
    Role,
    decorated_parts,
    is_public_key,
    private_key,
    public_key,
    read_token,
)
from support.nats_server import Signer
from support.stores import WRITTEN_BY_NSC, signed

OPERATOR, ACCOUNT, USER = Signer("operator"), Signer("account"), Signer("user")
ROLES = {Role.OPERATOR: OPERATOR, Role.ACCOUNT: ACCOUNT, Role.USER: USER}


def encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def written(head: object, body: object, *, signer: Signer = OPERATOR, without_header: bool = False) -> bytes:
    """Write a token with any header and body."""
    first, second = encoded(head), encoded(body)
    signature = base64.b64decode(signer.sign(second if without_header else f"{first}.{second}"))
    return f"{first}.{second}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}".encode()


HEAD = {"typ": "JWT", "alg": "ed25519-nkey"}
BODY = {"iss": OPERATOR.public, "sub": ACCOUNT.public, "nats": {"type": "account", "version": 2}}
FIRST = {"iss": OPERATOR.public, "sub": ACCOUNT.public, "type": "account", "nats": {}}


@pytest.mark.parametrize("role", Role)
def test_a_key_is_for_one_role(role: Role) -> None:
    signer = ROLES[role]
    message = b"a nonce"
    public_key(signer.public, role).verify(base64.b64decode(signer.sign(message.decode())), message)
    assert private_key(signer.seed.encode(), role).public_key() == public_key(signer.public, role)
    for other in Role:
        assert is_public_key(signer.public, other) is (other is role)
        if other is not role:
            with pytest.raises(NatsTokenError):
                private_key(signer.seed.encode(), other)
    assert is_public_key(signer.public, *Role)


@pytest.mark.parametrize(
    "text",
    ["", "A", ACCOUNT.public[:-1], ACCOUNT.public.lower(), ACCOUNT.public[:-1] + "é", ACCOUNT.seed, "7" * 56],
    ids=itertools.count(),
)
def test_what_is_no_public_key(text: str) -> None:
    assert not is_public_key(text, *Role)


@pytest.mark.parametrize(
    "text", [b"", b"S", USER.seed[:-1].encode(), USER.public.encode(), b"\xff" * 58], ids=itertools.count()
)
def test_what_is_no_seed(text: bytes) -> None:
    with pytest.raises(NatsTokenError):
        private_key(text, Role.USER)


@pytest.mark.parametrize("path", sorted(WRITTEN_BY_NSC.rglob("*.jwt")), ids=lambda path: path.stem)
def test_tokens_as_nsc_writes_them(path: Path) -> None:
    token = read_token(path.read_bytes())
    assert token.name == path.stem
    assert token.kind == ("operator" if path.stem == "OPS" else "account")
    assert (token.expires, token.not_before) == (0, 0)


@pytest.mark.parametrize("path", sorted(WRITTEN_BY_NSC.rglob("*.creds")), ids=lambda path: path.parent.name)
def test_credentials_files_as_nsc_writes_them(path: Path) -> None:
    parts = decorated_parts(path.read_bytes())
    token = read_token(path.read_bytes())
    assert (token.text.encode(), token.kind, token.name) == (parts[0], "user", "broker")
    assert private_key(parts[1], Role.USER).public_key() == public_key(token.subject, Role.USER)


BY_THE_ENGINE = re.compile(rb"-{3,}.*-{3,}\r?\n([\w.=-]+)\r?\n-{3,}.*-{3,}(?:\r?\n|\Z)")
"""The expression by which the engine finds the parts of a file."""


@given(st.lists(st.sampled_from([b"---", b"-", b"x", b" ", b"\r\n", b"\n", b"\r", b"--- a ---\nx\n---b---"])))
def test_parts_are_those_that_the_engine_finds(pieces: list[bytes]) -> None:
    content = b"".join(pieces)
    assert decorated_parts(content) == tuple(BY_THE_ENGINE.findall(content))


@pytest.mark.timeout(10)
@pytest.mark.parametrize("content", [b"-" * 1_000_000, b"-" * 1_000_000 + b"\nx\n", b"---\n" * 100_000])
def test_lines_of_dashes_take_no_time(content: bytes) -> None:
    assert decorated_parts(content) == ()


@pytest.mark.parametrize(
    "content",
    [
        written(HEAD, BODY),
        written({"typ": "jwt", "alg": "ED25519"}, BODY),
        written({"typ": "jwt", "alg": "ed25519"}, FIRST, without_header=True),
        written(HEAD, BODY) + b"\n",
        b"-----BEGIN NATS ACCOUNT JWT-----\n" + written(HEAD, BODY) + b"\n------END NATS ACCOUNT JWT------\n",
    ],
    ids=itertools.count(),
)
def test_forms_of_a_token(content: bytes) -> None:
    token = read_token(content)
    assert (token.kind, token.issuer, token.subject) == ("account", OPERATOR.public, ACCOUNT.public)


def test_claims_of_a_token() -> None:
    token = read_token(signed(OPERATOR, ACCOUNT, "ACME", "account", exp=7, nbf=5, limits={"conn": 3}).encode())
    assert (token.name, token.expires, token.not_before) == ("ACME", 7, 5)
    assert token.claims["limits"] == {"conn": 3}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"x.y.z",
        written(HEAD, BODY)[:-10],
        b".".join(written(HEAD, BODY).split(b".")[:2]),
        written([], BODY),
        written({"typ": "JWT"}, BODY),
        written({"typ": "JWT", "alg": "none"}, BODY),
        written({"typ": "JWT", "alg": "HS256"}, BODY),
        written({"typ": "JWE", "alg": "ed25519-nkey"}, BODY),
        written(HEAD, []),
        written(HEAD, BODY | {"iss": "ACME"}),
        written(HEAD, BODY | {"iss": Signer("operator").public}),
        written(HEAD, BODY | {"exp": "tomorrow"}),
        written(HEAD, BODY | {"exp": None}),
        written(HEAD, BODY | {"nats": None}),
        written(HEAD, BODY | {"nats": {"type": "account"}}),
        written(HEAD, BODY | {"nats": {"type": "account", "version": 3}}),
        written(HEAD, BODY, signer=ACCOUNT),
        written(HEAD, BODY, without_header=True),
        written(HEAD, FIRST),
        written(HEAD, BODY | {"name": "x" * 1024 * 1024}),
        b"e30." + base64.urlsafe_b64encode(b"[" * 99_999) + b".e30",
    ],
    ids=itertools.count(),
)
def test_what_is_no_token(content: bytes) -> None:
    with pytest.raises(NatsTokenError) as caught:
        read_token(content)
    assert content.decode(errors="replace")[:16] not in str(caught.value) or not content


@given(place=st.integers(0, 300), patch=st.binary(min_size=1, max_size=8))
def test_no_changed_token_passes(place: int, patch: bytes) -> None:
    good = written(HEAD, BODY)
    changed = good[:place] + patch + good[place + len(patch) :]
    if changed.strip() == good:
        return
    with pytest.raises(NatsTokenError):
        read_token(changed)
