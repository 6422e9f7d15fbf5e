"""Frames of the gate to bytes and back: JSON behind its length. Which frames there are is in ``frames``."""

from __future__ import annotations

import struct
from typing import TypeVar

import msgspec

from choria_broker.access.session import BusySession, Departed, Session
from choria_broker.engine.gate import frames

MAX_FRAME = 1_048_576
"""Most bytes of JSON in one frame."""

LENGTH = struct.Struct(">I")
"""The length in front of every frame."""


class FrameError(Exception):
    """The engine sent, or would have been sent, something that is not a frame of the protocol."""


_decoder: msgspec.json.Decoder[frames.EngineFrame] = msgspec.json.Decoder(frames.EngineFrame)
_encoder = msgspec.json.Encoder()
_S = TypeVar("_S", Session, Departed, BusySession)


def decode(payload: bytes) -> frames.EngineFrame:
    """Read one frame of the engine.

    Raises:
        FrameError: it is not one; the message does not repeat the payload.
    """
    try:
        return _decoder.decode(payload)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError) as error:
        raise FrameError(f"not a frame of the gate protocol: {type(error).__name__}") from None


def listed_sessions(page: frames.Listed, kind: type[_S]) -> tuple[_S, ...]:
    """Read the sessions of a page.

    Args:
        page: the page.
        kind: ``Departed`` when those that have ended were asked for, ``BusySession`` for the busiest.

    Raises:
        FrameError: they are no such sessions.
    """
    try:
        return msgspec.json.decode(page.sessions, type=tuple[kind, ...])  # type: ignore[valid-type]
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise FrameError(f"not a list of sessions: {type(error).__name__}") from None


def encode(frame: frames.BrokerFrame) -> bytes:
    """Write one frame of the broker, length included.

    Raises:
        FrameError: the frame would be larger than the protocol allows.
    """
    payload = _encoder.encode(frame)
    if len(payload) > MAX_FRAME:
        raise FrameError(f"a frame of {len(payload)} bytes is over the limit of {MAX_FRAME}")
    return LENGTH.pack(len(payload)) + payload
