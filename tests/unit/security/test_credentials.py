"""Credentials files of NATS."""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.security.credentials import CredentialsProblem, inspect_credentials
from support.nats_server import Operator, Signer, User

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
OPERATOR = Operator("OPS")
USER, OTHER = OPERATOR.user("OPS"), OPERATOR.user("OPS")
ACCOUNT = Signer("account")


def look(content: bytes) -> CredentialsProblem | None:
    found = inspect_credentials(content, NOW)
    return found if isinstance(found, CredentialsProblem) else None


def armoured(token: str, seed: str) -> bytes:
    return User(token, USER.key).text().replace(USER.key.seed, seed).encode()


def signed(claims: object, header: object = None, *, signer: Signer = ACCOUNT, without_header: bool = False) -> str:
    """Write a token with any claims."""
    head = {"typ": "JWT", "alg": "ed25519-nkey"} if header is None else header
    first, second = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (head, claims)
    )
    signature = base64.b64decode(signer.sign(second if without_header else f"{first}.{second}"))
    return f"{first}.{second}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def claims(**changes: object) -> dict[str, object]:
    return {"iss": ACCOUNT.public, "sub": USER.key.public, "nats": {"type": "user", "version": 2}} | changes


def tampered(token: str) -> str:
    head, body, signature = token.split(".")
    return f"{head}.{body[:-8]}{'A' * 8}.{signature}"


GOOD: dict[str, bytes] = {
    "as nsc writes it": USER.text().encode(),
    "with the line ends of Windows": USER.text().replace("\n", "\r\n").encode(),
    "with text around it": b"for the hub\n\n" + USER.text().encode() + b"\nend\n",
    "without a last line end": USER.text().encode().rstrip(),
    "which expires one day": OPERATOR.user("OPS", exp=4_102_444_800).text().encode(),
    "of the first version": armoured(
        signed(
            {"iss": ACCOUNT.public, "sub": USER.key.public, "type": "user", "nats": {}},
            {"typ": "jwt", "alg": "ed25519"},
            without_header=True,
        ),
        USER.key.seed,
    ),
}

BAD: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "not a NATS credentials file"),
    "a certificate": (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "not a NATS credentials file"),
    "the token alone": (USER.text().split("\n\n")[0].encode(), "not a NATS credentials file"),
    "marks alone": (b"-----BEGIN NATS USER JWT-----\n-----BEGIN USER NKEY SEED-----\n", "not a NATS credentials file"),
    "a line that is broken in two": (
        USER.text().replace(USER.token, f"{USER.token[:64]}\n{USER.token[64:]}").encode(),
        "not a NATS credentials file",
    ),
    "a seed with a slip of the pen": (
        armoured(USER.token, USER.key.seed[:-6] + "AAAAAA"),
        "its seed is not that of a NATS user",
    ),
    "half a seed": (armoured(USER.token, USER.key.seed[:30]), "its seed is not that of a NATS user"),
    "the seed of an account": (armoured(USER.token, ACCOUNT.seed), "its seed is not that of a NATS user"),
    "a public key for a seed": (armoured(USER.token, USER.key.public), "its seed is not that of a NATS user"),
    "the seed of another": (armoured(USER.token, OTHER.key.seed), "its token belongs to another key than its seed"),
    "the two the wrong way round": (armoured(USER.key.seed, "x.y.z"), "its seed is not that of a NATS user"),
}

BAD_TOKENS: dict[str, str] = {
    "changed": tampered(USER.token),
    "cut off": USER.token[:-20],
    "of two parts": USER.token.rpartition(".")[0],
    "of no JSON": "YQ.YQ.YQ",
    "of a list": signed([]),
    "without an issuer": signed(claims(iss=None)),
    "of an issuer that is no key": signed(claims(iss="ACME")),
    "of a user for an issuer": signed(claims(iss=USER.key.public), signer=USER.key),
    "signed by another account": signed(claims(), signer=Signer("account")),
    "of an account": signed(claims(nats={"type": "account", "version": 2})),
    "without a type": signed(claims(nats={"version": 2})),
    "without NATS's claims": signed(claims(nats=7)),
    "without a holder": signed(claims(sub=7)),
    "that expires in words": signed(claims(exp="tomorrow")),
    "with a header that is none": signed(claims(), []),
    "of the other way to sign": signed(claims(), without_header=True),
    "too deep": f"{base64.urlsafe_b64encode(b'{}').decode()}.{base64.urlsafe_b64encode(b'[' * 99_999).decode()}.YQ",
}


@pytest.mark.parametrize("content", GOOD.values(), ids=GOOD)
def test_whole_files(content: bytes) -> None:
    assert look(content) is None


@pytest.mark.parametrize(("content", "problem"), BAD.values(), ids=BAD)
def test_files_that_cannot_work(content: bytes, problem: str) -> None:
    found = look(content)
    assert found is not None
    assert (found.problem, found.expired) == (problem, False)


@pytest.mark.parametrize("token", BAD_TOKENS.values(), ids=BAD_TOKENS)
def test_tokens_that_cannot_work(token: str) -> None:
    found = look(armoured(token, USER.key.seed))
    assert found is not None
    assert found.problem.startswith("its token is ")
    assert not found.expired


@pytest.mark.parametrize(("moved", "expired"), [(-1, True), (0, True), (1, False)])
def test_expiry(moved: int, *, expired: bool) -> None:
    content = OPERATOR.user("OPS", exp=int(NOW.timestamp()) + moved).text().encode()
    found = look(content)
    assert (found is not None and found.expired) is expired


def mixed(content: bytes) -> Callable[[tuple[int, bytes]], bytes]:
    def mix(change: tuple[int, bytes]) -> bytes:
        place, patch = change
        return content[:place] + patch + content[place + len(patch) :]

    return mix


@given(
    st.tuples(st.integers(0, len(USER.text())), st.binary(max_size=12)).map(mixed(USER.text().encode())) | st.binary()
)
def test_whatever_a_file_holds_the_answer_is_an_answer(content: bytes) -> None:
    found = look(content)
    assert found is None or USER.key.seed not in found.problem
