"""Whatever a question holds, it costs Python about what an ordinary one costs, and nothing of it is kept.

Times are told as a ratio to that of an ordinary login with a token, taken in the same breath, so that a slow or busy
machine does not matter: of several runs the quickest counts.
"""

from __future__ import annotations

import base64
import gc
import json
import logging
import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from choria_broker.access import permissions
from choria_broker.access.decision import decide
from choria_broker.access.policy import Policy
from choria_broker.access.request import ConnectionKind, ConnectRequest, TlsState
from choria_broker.audit.trail import Audit
from choria_broker.engine.gate import codec, frames
from choria_broker.security.signature_memory import SignatureMemory
from choria_broker.values import replace
from support.minting import (
    CHAIN_ISSUER,
    NOW,
    RSA,
    STRANGER,
    chained,
    client,
    encoded,
    mint,
    proof,
    provisioning,
    server,
)
from support.policy_cases import (
    ANON,
    CERTIFIED,
    ISSUERS,
    LEAF,
    PASSWORD,
    SIGNED,
    SYSTEM,
    ask,
    presenting,
    provisioned,
    with_system,
)
from support.policy_cases import policy as changed

pytestmark = [pytest.mark.untraced, pytest.mark.slow]

MOST = 5.0
"""Times an ordinary question."""

LARGEST = 8192
"""Bytes of the fields of a CONNECT; the engine lets no more through."""

HEAD = encoded(b'{"alg":"EdDSA"}')
JSON_BYTES = (LARGEST - len(HEAD) - 90) * 3 // 4
"""Bytes of a payload in the largest token."""


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Log as the program does, without the cost of a terminal."""
    root = logging.getLogger("choria_broker")
    before = (root.handlers[:], root.propagate, root.level)
    root.handlers[:], root.propagate = [logging.NullHandler()], False
    root.setLevel(logging.INFO)
    gc.disable()
    yield
    gc.enable()
    root.handlers[:], root.propagate = before[0], before[1]
    root.setLevel(before[2])


def asked(policy: Policy, request: ConnectRequest, audit: Audit) -> Callable[[], None]:
    """Do all that the broker does with one question, from its frame to the frame of its verdict."""
    wire = msgspec.json.encode(frames.Question(id=1, deadline=1, request=request))

    def answer() -> None:
        question = codec.decode(wire)
        assert isinstance(question, frames.Question)
        verdict = decide(question.request, policy, NOW)
        audit.record(question.request, verdict, 0.0001)
        codec.encode(frames.wire_verdict(verdict, question_id=1, generation=1))

    return answer


def quickest(action: Callable[[], None], runs: int, *, anew: bool = False) -> float:
    """Time an action.

    Args:
        action: what to do.
        runs: how often.
        anew: each time as if for the first time.
    """
    best = float("inf")
    for _ in range(runs):
        if anew:
            permissions.forget()
        begun = time.perf_counter()
        action()
        best = min(best, time.perf_counter() - begun)
    return best


def token(payload: bytes, head: str = HEAD, signature: bytes = bytes(64)) -> str:
    return f"{head}.{encoded(payload)}.{encoded(signature)}"


def filled(unit: bytes, before: bytes = b'{"x":[', after: bytes = b"0]}") -> bytes:
    """Repeat a piece of JSON as often as there is room."""
    return before + unit * ((JSON_BYTES - len(before) - len(after)) // len(unit)) + after


def named(claims: dict[str, Any], unit: bytes, name: str) -> bytes:
    """Add a claim with a long list to good claims."""
    return filled(unit, json.dumps(claims)[:-1].encode() + f',"{name}":['.encode(), unit.rstrip(b",") + b"]}")


GOOD = client()
NASTY_PAYLOADS: dict[str, bytes] = {
    "lists": filled(b"[],"),
    "objects": filled(b"{},"),
    "objects with a key": filled(b'{"":0},'),
    "numbers": filled(b"1,"),
    "fractions": filled(b"1e9,"),
    "minus": filled(b"-1.5e-9,"),
    "texts": filled(b'"",'),
    "nulls": filled(b"null,"),
    "escapes": filled(b'"\\u0001",'),
    "deep": b'{"x":' + b"[" * (JSON_BYTES // 2 - 5) + b"]" * (JSON_BYTES // 2 - 5) + b"}",
    "deep, just allowed": b'{"x":' + b"[" * 395 + b"]" * 395 + b"}",
    "deep objects": b'{"x":' * 900 + b"0" + b"}" * 900,
    "unclosed": b'{"x":' + b"[" * 5000,
    "one key many times": filled(b'"a":1,', b"{", b'"a":1}'),
    "keys": ("{" + ",".join(f'"{number:x}":1' for number in range(399)) + "}").encode(),
    "keys that collide": ("{" + ",".join(f'"{number * (2**61 - 1)}":1' for number in range(200)) + "}").encode(),
    "one large number": b'{"exp":' + b"9" * 4000 + b"}",
    "large numbers": filled(b"9" * 1000 + b","),
    "a number too large": b'{"exp":' + b"9" * (JSON_BYTES - 10) + b"}",
    "a long fraction": b'{"exp":0.' + b"9" * (JSON_BYTES - 12) + b"}",
    "a large exponent": b'{"exp":1e999999999999}',
    "spaces": b"{" + b" " * (JSON_BYTES - 2) + b"}",
    "no JSON": b"x" * JSON_BYTES,
    "quotes": b'{"' + b'\\"' * (JSON_BYTES // 2 - 10) + b'":1}',
    "surrogates": b'{"callerid":"' + b"\\ud83d" * (JSON_BYTES // 6 - 10) + b'"}',
    "emoji": '{{"callerid":"{}"}}'.format("\U0001f600" * (JSON_BYTES // 4 - 10)).encode(),
    "no UTF-8": b'{"callerid":"' + b"\xff" * (JSON_BYTES - 20) + b'"}',
    "subscribing": named(GOOD, b'"a",', "sub_subjects"),
    "subscribing, just allowed": json.dumps(GOOD | {"sub_subjects": [f"{n:x}.>" for n in range(350)]}).encode(),
    "permissions": json.dumps(GOOD | {"permissions": {f"p{n}": True for n in range(350)}}).encode(),
    "properties": json.dumps(GOOD | {"user_properties": {f"p{n}": "v" for n in range(350)}}).encode(),
    "a long caller": json.dumps(GOOD | {"callerid": "x=" + "a." * 2500}).encode(),
    "a long organization": json.dumps(GOOD | {"ou": "o" * 5000}).encode(),
    "a long key": json.dumps(GOOD | {"public_key": "a" * 5000}).encode(),
    "a long issuer": json.dumps(GOOD | {"iss": "C-" + "a." * 2500}).encode(),
    "a long chain": json.dumps(chained(client()) | {"tcs": ".".join(["ab" * 64] * 40)}).encode(),
    "a long token id": json.dumps(chained(client()) | {"jti": "z" * 5000}).encode(),
}

NASTY_TOKENS: dict[str, str] = {
    **{name: token(payload) for name, payload in NASTY_PAYLOADS.items()},
    **{
        f"{name}, signed by a stranger": mint(payload.decode("latin-1"), STRANGER)
        for name, payload in list(NASTY_PAYLOADS.items())[:4]
    },
    "dots": "." * LARGEST,
    "many parts": ".".join(["ab"] * (LARGEST // 3)),
    "white space": " " * LARGEST,
    "white space around": " " * 4000 + "a.b.c" + " " * 4000,
    "bearer": "bearer " * (LARGEST // 7),
    "no base64": "!" * 4000 + "." + "=" * 4000 + ".",
    "padding": "A" * 4000 + "=." + "A" * 4000 + ".",
    "letters from far away": "\U0001f600" * (LARGEST // 4),
    "a long header": token(b"{}", encoded(b'{"alg":"EdDSA","x":[' + b"[]," * 1900 + b"0]}")),
    "a long signature": token(json.dumps(GOOD).encode(), signature=bytes(4000)),
    "RS256 with a signature of nothing": token(json.dumps(GOOD).encode(), encoded(b'{"alg":"RS256"}'), bytes(4000)),
    "RS512 of a stranger": token(json.dumps(server()).encode(), encoded(b'{"alg":"RS512"}'), bytes(256)),
    "PS512": token(json.dumps(GOOD).encode(), encoded(b'{"alg":"PS512"}'), bytes(4000)),
    "alg is a list": token(json.dumps(GOOD).encode(), encoded(b'{"alg":[[[]]]}')),
    "good, of a stranger": mint(client(), STRANGER),
    "chained, of a stranger": mint(chained(client(), STRANGER), CHAIN_ISSUER),
    "chained, good and expired": mint(chained(client(exp=NOW - 1)), CHAIN_ISSUER),
    "chained, server": mint(chained(server(collectives=["c"] * 60)), CHAIN_ISSUER),
    "provisioning, of a stranger": mint(provisioning(), STRANGER),
    "provisioning, RSA of nobody": mint(provisioning(), RSA),
    "server with many collectives": mint(
        server(collectives=[f"c{number}" for number in range(64)], identity="i" * 250)
    ),
    "server with too many": mint(server(collectives=[f"{number:x}" for number in range(350)])),
    "server with every permission": mint(
        server(
            collectives=[f"{number:x}" for number in range(64)],
            permissions={"streams": True, "governor": True, "service_host": True, "submission": True},
        )
    ),
    "client with many subjects": mint(client(pub_subjects=[f"a.{number:x}.*" for number in range(350)])),
    "client with bad subjects": mint(client(sub_subjects=["a..b"] * 450)),
    "client with a long subject": mint(client(sub_subjects=["a." * 2400 + "b"])),
}


NASTY_TEXTS = (
    "a" * LARGEST,
    "<" * LARGEST,
    "\U0001f600" * (LARGEST // 4),
    "\x01" * (LARGEST // 6),
    "a." * 4000,
    # What begins like a credential again and again, and is none.
    "eyJ" * (LARGEST // 3),
    "eyJhbGci." * (LARGEST // 9),
    "ewg" * (LARGEST // 3),
    "bearer " * (LARGEST // 7),
    "-----BEGIN A" * (LARGEST // 12),
    (":" * 400 + " ") * (LARGEST // 401),
)


def nasty_questions() -> Iterator[tuple[str, ConnectRequest]]:
    for name, text in NASTY_TOKENS.items():
        yield name, ask(ANON, token=text, signature=proof())
    for name in ("lists", "numbers", "good, of a stranger", "server with many collectives", "dots"):
        yield f"{name}, with a certificate", ask(CERTIFIED, token=NASTY_TOKENS[name], signature=proof())
        yield f"{name}, as a leafnode", ask(LEAF, token=NASTY_TOKENS[name], signature=proof())
        yield f"{name}, as provisioner", ask(ANON, token=NASTY_TOKENS[name], signature=proof(), **PASSWORD)
        yield f"{name}, as system user", ask(ANON, token=NASTY_TOKENS[name], signature=proof(), **SYSTEM)
        yield f"{name}, in clear text", ask(ANON, tls=TlsState.NONE, token=NASTY_TOKENS[name], signature=proof())
    for text in NASTY_TEXTS:
        for base in (ANON, CERTIFIED, LEAF, ask(LEAF, tls=TlsState.ANON)):
            for field in ("user", "password", "name", "signature", "nkey", "jwt", "language", "version"):
                yield f"{field} {text[:4]!a} {base.kind} {base.tls}", ask(base, **{field: text})
            yield f"password {text[:4]!a} of provisioner", ask(base, user="provisioner", password=text)
    # A good token with a proof that is none.
    yield "a long proof", presenting(ANON, client(), signature="A" * 6000)
    yield "a proof that is no base64", presenting(ANON, client(), signature="\u00e9" * 3000)
    yield "a long nonce", ask(presenting(ANON, client()), nonce="A" * 100)


POLICIES = {
    "issuers": with_system(provisioned(ISSUERS)),
    "signers": with_system(provisioned(SIGNED)),
    "tokens only": changed(with_system(SIGNED), client_tokens_only=True),
}


@pytest.mark.parametrize("name", POLICIES)
def test_no_question_costs_more_than_five_ordinary_ones(name: str) -> None:
    audit = Audit()
    policy = POLICIES[name]
    # Known people are remembered, and so come cheaper.
    remembering = replace(policy, signed_by=SignatureMemory(time.monotonic).signed_by)
    ordinary = asked(remembering, presenting(ANON, client()), audit)
    assert decide(presenting(ANON, client()), policy, NOW).allowed
    slow: list[str] = []
    for what, request in nasty_questions():
        action = asked(policy, request, audit)
        action()
        assert audit.recent[-1].rule != "internal-error", what
        # Once is enough on a quiet machine.
        ratios = (quickest(action, 5, anew=True) / quickest(ordinary, 15) for _ in range(5))
        if not any(ratio <= MOST for ratio in ratios):
            slow.append(what)
    assert not slow


def strange_questions(count: int) -> Iterator[ConnectRequest]:
    """Questions of strangers, each with other texts, all as large as they may be."""
    lists = base64.urlsafe_b64encode(b"[]," * 150)
    for number in range(count):
        name = f"{number:08x}" * 100
        match number % 4:
            case 0:
                payload = b'{"callerid":"%s","x":[%s0]}' % (name.encode(), b"[]," * 195)
                yield ask(ANON, token=token(payload + b" " * 3000), signature=proof())
            case 1:
                yield ask(
                    ANON, token=mint(client(callerid=name, sub_subjects=[f"{n:x}" for n in range(300)]), STRANGER)
                )
            case 2:
                yield ask(ANON, user=name * 10, password=name, name=name)
            case _:
                yield ask(
                    LEAF,
                    tls=TlsState.ANON,
                    token_unread=True,
                    user=lists.decode() + name * 8,
                    kind=ConnectionKind.LEAFNODE,
                )


def test_strangers_leave_nothing_behind() -> None:
    audit = Audit()
    memory = SignatureMemory(time.monotonic)
    policy = replace(POLICIES["issuers"], signed_by=memory.signed_by)
    questions = [asked(policy, request, audit) for request in strange_questions(1200)]
    permissions.forget()
    gc.collect()
    tracemalloc.start()
    for question in questions:
        question()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(memory) == 0
    # What is left are the recent decisions, which are bounded by bytes; the questions themselves are 10 MB.
    assert held < 5_000_000
