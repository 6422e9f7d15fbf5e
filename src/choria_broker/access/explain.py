"""Explaining what a decision means: the verdict for a holder that is not here, and single subjects under permissions.

No part of the running broker imports this module.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence

import msgspec

from choria_broker.access.case import Case
from choria_broker.access.decision import conclude
from choria_broker.access.policy import Policy
from choria_broker.access.request import ConnectRequest
from choria_broker.access.rule_path import RulePath
from choria_broker.access.rules import TOKEN_NONCE, Rule
from choria_broker.access.subjects import covers, overlap
from choria_broker.access.verdict import Permissions, SubjectRules, Verdict
from choria_broker.security import keys
from choria_broker.values import replace


def decide_for_holder(request: ConnectRequest, policy: Policy, now: float) -> Verdict:
    """Decide about a connection as if its peer had proved that it holds the private key of its token.

    Only the nonce signature is taken for granted; everything else is decided as always.

    Args:
        request: what is known of the connection; its nonce and signature do not matter.
        policy: what the broker was told.
        now: the moment of the decision in Unix seconds.
    """
    return conclude(_HolderCase(request, policy, now, RulePath(policy.accounts)))


class _HolderCase(Case):
    """A case without a peer that could sign anything."""

    def holder_fault(self, public_key: str) -> str | None:
        if not keys.is_hex_key(public_key):
            return "the public key in the token is not 64 hex digits of an ed25519 key"
        self.trail.note(TOKEN_NONCE, "assumed: the peer holds the token's private key")
        return None


HANDSHAKE = Rule(
    name="tls-handshake",
    accepts=False,
    sentence=(
        "A connection whose certificate does not verify is ended in the TLS handshake, before any rule is checked."
    ),
    remedy="Give the program a certificate signed by the broker's CA, or none.",
)
"""The refusal that comes before all rules: the engine makes it, and no decision ever sees the connection."""


def refused_by_handshake(reason: str) -> Verdict:
    """Make the verdict of a connection that does not survive the TLS handshake.

    Args:
        reason: what is wrong with its certificate, one sentence without its full stop.
    """
    return RulePath(()).refuse(HANDSHAKE, reason, method="mtls")


class Direction(enum.StrEnum):
    """What is done with a subject."""

    PUBLISH = "publish"
    SUBSCRIBE = "subscribe"


class Ground(enum.StrEnum):
    """What decides about a subject."""

    UNLIMITED = "unlimited"
    """No list says anything about it."""
    ALLOW = "allow"
    """An entry of the allow list takes it in."""
    DENY = "deny"
    """An entry of the deny list takes it in."""
    UNLISTED = "unlisted"
    """There is an allow list, and nothing in it takes the subject in."""


class SubjectAnswer(msgspec.Struct, frozen=True):
    """Whether a connection may use a subject, and why.

    Attributes:
        direction: what is done with it.
        subject: the subject, for subscriptions perhaps followed by a space and a queue.
        allowed: it may.
        ground: what decides.
        entry: the entry of a list that decides, empty where none does.
        withheld: deny entries whose messages an allowed subscription never receives.
        needs: what would allow it, empty when it is allowed, nothing does, or it is not known.
    """

    direction: Direction
    subject: str
    allowed: bool
    ground: Ground
    entry: str = ""
    withheld: tuple[str, ...] = ()
    needs: str = ""

    @property
    def sentence(self) -> str:
        """One line that says it all."""
        verb = "publish to" if self.direction is Direction.PUBLISH else "subscribe to"
        why = {
            Ground.UNLIMITED: f"it may {self.direction} to everything",
            Ground.ALLOW: f"allowed by {self.entry}",
            Ground.DENY: f"denied by {self.entry}",
            Ground.UNLISTED: "not in the allow list",
        }[self.ground]
        but = f", but will not receive messages on {', '.join(self.withheld)}" if self.withheld else ""
        needs = f"; needs {self.needs}" if self.needs else ""
        return f"{'may' if self.allowed else 'may not'} {verb} {self.subject}: {why}{but}{needs}"


def about_publish(permissions: Permissions | None, subject: str) -> SubjectAnswer:
    """Tell whether a connection may publish to a subject.

    Args:
        permissions: of the connection, None for no limits.
        subject: without wildcards.
    """
    return _about(Direction.PUBLISH, permissions.publish if permissions else SubjectRules(), subject)


def about_subscribe(permissions: Permissions | None, subscription: str) -> SubjectAnswer:
    """Tell whether a connection may make a subscription.

    Args:
        permissions: of the connection, None for no limits.
        subscription: a subject, wildcards welcome, perhaps followed by a space and a queue.
    """
    rules = permissions.subscribe if permissions else SubjectRules()
    answer = _about(Direction.SUBSCRIBE, rules, subscription)
    if not answer.allowed:
        return answer
    subject = subscription.partition(" ")[0]
    return replace(answer, withheld=tuple(entry for entry in rules.deny if overlap(subject, entry)))


def _about(direction: Direction, rules: SubjectRules, text: str) -> SubjectAnswer:
    subject, _, queue = text.partition(" ")
    denied = _deciding(rules.deny, subject, queue, narrowing=False)
    if denied:
        return SubjectAnswer(direction, text, allowed=False, ground=Ground.DENY, entry=denied)
    if rules.allow is None:
        return SubjectAnswer(direction, text, allowed=True, ground=Ground.UNLIMITED)
    entry = _deciding(rules.allow, subject, queue, narrowing=True)
    if entry and not covers(entry.partition(" ")[0], subject):
        # The engine finds it, and asks for an entry that allows all of it.
        entry = _first(other for other in rules.allow if _allows(other, subject, queue))
    ground = Ground.ALLOW if entry else Ground.UNLISTED
    return SubjectAnswer(direction, text, allowed=bool(entry), ground=ground, entry=entry)


def _deciding(entries: Sequence[str], subject: str, queue: str, *, narrowing: bool) -> str:
    """Return the entry in which the engine finds a subscription, empty when there is none.

    Entries with a queue speak of subscriptions with a queue only. In an allow list they narrow: where one names the
    subject, the queue must be one of theirs even if another entry allows the subject for any queue.
    """
    plain = _first(entry for entry in entries if " " not in entry and _found_in(entry, subject))
    if not queue:
        return plain
    queued = [entry for entry in entries if " " in entry and _found_in(entry.partition(" ")[0], subject)]
    named = _first(entry for entry in queued if covers(entry.partition(" ")[2], queue))
    return named if queued and narrowing else plain or named


def _found_in(entry: str, subject: str) -> bool:
    """Tell whether the engine finds a subject in an entry; it takes ``>`` at the end of a subscription for one part."""
    return covers(entry, f"{subject[:-1]}*" if subject.endswith(">") else subject) or entry == subject


def _allows(entry: str, subject: str, queue: str) -> bool:
    own_subject, space, own_queue = entry.partition(" ")
    return covers(own_subject, subject) and (not space or bool(queue and covers(own_queue, queue)))


def _first(entries: Iterable[str]) -> str:
    return next(iter(entries), "")
