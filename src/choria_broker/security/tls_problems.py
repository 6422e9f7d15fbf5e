"""What can be wrong with TLS files, and in which of them."""

from __future__ import annotations

import enum

import msgspec

from choria_broker.settings.finding_codes import Code

STARTS = "the broker starts"
"""What a problem that is not fatal does, when nothing more is known."""


class Part(enum.StrEnum):
    """Which of the three files a problem is in."""

    CERTIFICATE = "certificate"
    KEY = "key"
    CA = "ca"


class TlsProblem(msgspec.Struct, frozen=True):
    """One thing that is wrong with TLS files.

    Attributes:
        code: stable name of the class of problem.
        part: the file it is in.
        problem: what is wrong, without a final full stop.
        remedy: what to do; empty is that of the code.
        fatal: False when TLS still works.
        idle: True when it only takes up room: the CA before or after the one in use, which is out of date.
        overdue: True when the files are whole and only their dates are over or not yet reached.
        effect: what a problem that is not fatal does.
    """

    code: Code
    part: Part
    problem: str
    remedy: str = ""
    fatal: bool = True
    idle: bool = False
    overdue: bool = False
    effect: str = STARTS
