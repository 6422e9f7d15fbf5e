"""What became of a standard stream."""

from __future__ import annotations

import enum

import msgspec


class State(enum.StrEnum):
    """What became of a standard stream."""

    PENDING = "pending"
    """Nothing has been tried yet."""
    OK = "ok"
    """It is as the settings say."""
    RETRYING = "retrying"
    """It failed for the time being, and is tried again."""
    FAILED = "failed"
    """It failed, and is not tried again before the next start."""
    NOT_MANAGED = "not-managed"
    """The settings say to leave it alone."""


class Report(msgspec.Struct, frozen=True):
    """One standard stream in one account.

    Attributes:
        account, stream: which one.
        state: what became of it.
        outcome: for ``ok``: ``created``, ``updated`` or ``unchanged``; otherwise empty.
        reason: for ``retrying`` and ``failed``: why; otherwise empty.
        replicas: copies it is to have, 0 when it is not managed.
    """

    account: str
    stream: str
    state: State
    outcome: str = ""
    reason: str = ""
    replicas: int = 0
