"""Wire form of the gate: length-prefixed JSON frames between the broker and its engine.

The reference manual has the protocol itself; this module only knows bytes and typed frames.
"""

from __future__ import annotations

import enum
import struct

import msgspec

from choria_broker.access.request import Certificate, ConnectRequest, Kind, TlsState
from choria_broker.access.verdict import SubjectRules, Verdict

PROTOCOL = 2
"""Version of the gate protocol this broker speaks."""

MAX_FRAME = 1_048_576
"""Most bytes of JSON in one frame."""

LENGTH = struct.Struct(">I")
"""The length in front of every frame."""


class FrameError(Exception):
    """The engine sent, or would have been sent, something that is not a frame of the protocol."""


class Authentication(enum.Enum):
    """Who authenticates the engine's clients."""

    QUESTIONS = "questions"
    """The broker, which is asked about each."""
    OPERATOR = "operator"
    """The engine, by the tokens of users, down from the operator in its configuration file."""


class Hello(msgspec.Struct, tag="hello", frozen=True):
    """The broker's first frame."""

    generation: int
    optional_client_certificates: bool
    bridge_secret: str
    answer_within_ms: int
    max_questions: int
    authentication: Authentication = Authentication.QUESTIONS
    mappings: tuple[tuple[str, str], ...] = ()
    protocol: int = PROTOCOL


class Reload(msgspec.Struct, tag="reload", frozen=True):
    """The engine is to read its configuration file again."""

    id: int


class EngineHello(msgspec.Struct, tag="hello", frozen=True):
    """The engine's first frame."""

    protocol: int
    engine: str
    nats: str


class Ports(msgspec.Struct, frozen=True):
    """Ports the engine listens on; 0 where there is no such listener."""

    client: int = 0
    websocket: int = 0
    leafnode: int = 0
    cluster: int = 0
    gateway: int = 0
    monitoring: int = 0
    bridge: int = 0


class Ready(msgspec.Struct, tag="ready", frozen=True):
    """Every listener is open."""

    ports: Ports


class CertificateFacts(msgspec.Struct, frozen=True):
    """Facts of a presented leaf certificate."""

    common_name: str = ""
    serial: str = ""
    issuer: str = ""
    fingerprint: str = ""


class Question(msgspec.Struct, tag="question", frozen=True):
    """One connection asks to be let in."""

    id: int
    connection: int
    deadline: int
    kind: Kind
    tls: TlsState
    address: str = ""
    nonce: str = ""
    user: str = ""
    password: str = ""
    token: str = ""
    signature: str = ""
    jwt: str = ""
    nkey: str = ""
    name: str = ""
    certificate: CertificateFacts | None = None

    def __repr__(self) -> str:
        """Write only what is no secret."""
        return f"Question(id={self.id}, connection={self.connection}, kind={self.kind.value})"


class Refusal(msgspec.Struct, tag="refusal", frozen=True):
    """The engine refused a connection by its own decision."""

    cause: str
    id: int = 0
    connection: int = 0
    address: str = ""


class Reloaded(msgspec.Struct, tag="reloaded", frozen=True):
    """What came of a reload; without a problem, what the file says is in force."""

    id: int
    problem: str = ""


class WireRules(msgspec.Struct, frozen=True):
    """Subjects of one direction as the engine reads them."""

    allow: tuple[str, ...] | None
    deny: tuple[str, ...]


class WirePermissions(msgspec.Struct, frozen=True):
    """Permissions as the engine reads them."""

    publish: WireRules
    subscribe: WireRules


class WireVerdict(msgspec.Struct, tag="verdict", frozen=True):
    """The answer to one question."""

    id: int
    generation: int
    allow: bool
    account: str = ""
    username: str = ""
    permissions: WirePermissions | None = None


EngineFrame = EngineHello | Ready | Question | Refusal | Reloaded
"""Frames the engine sends."""

_decoder: msgspec.json.Decoder[EngineFrame] = msgspec.json.Decoder(EngineFrame)
_encoder = msgspec.json.Encoder()


def decode(payload: bytes) -> EngineFrame:
    """Read one frame of the engine.

    Raises:
        FrameError: it is not one; the message does not repeat the payload.
    """
    try:
        return _decoder.decode(payload)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise FrameError(f"not a frame of the gate protocol: {type(error).__name__}") from None


def encode(frame: Hello | WireVerdict | Reload) -> bytes:
    """Write one frame of the broker, length included.

    Raises:
        FrameError: the frame would be larger than the protocol allows.
    """
    payload = _encoder.encode(frame)
    if len(payload) > MAX_FRAME:
        raise FrameError(f"a frame of {len(payload)} bytes is over the limit of {MAX_FRAME}")
    return LENGTH.pack(len(payload)) + payload


def request_of(question: Question) -> ConnectRequest:
    """Turn the wire form of a question into the request the policy decides."""
    facts = question.certificate
    certificate = Certificate(facts.common_name, facts.serial, facts.issuer, facts.fingerprint) if facts else None
    return ConnectRequest(
        kind=question.kind,
        tls=question.tls,
        address=question.address,
        nonce=question.nonce,
        user=question.user,
        password=question.password,
        token=question.token,
        signature=question.signature,
        jwt=question.jwt,
        nkey=question.nkey,
        name=question.name,
        certificate=certificate,
        connection_id=question.connection,
    )


def wire_verdict(verdict: Verdict, *, question_id: int, generation: int) -> WireVerdict:
    """Turn a verdict into its wire form; a refusal carries nothing but itself."""
    if not verdict.allowed:
        return WireVerdict(id=question_id, generation=generation, allow=False)
    permissions = verdict.permissions
    return WireVerdict(
        id=question_id,
        generation=generation,
        allow=True,
        account=verdict.account,
        username=verdict.username,
        permissions=None
        if permissions is None
        else WirePermissions(publish=_wire_rules(permissions.publish), subscribe=_wire_rules(permissions.subscribe)),
    )


def _wire_rules(rules: SubjectRules) -> WireRules:
    return WireRules(allow=rules.allow, deny=rules.deny)
