"""The answer to a connection: in or out, where, with which permissions, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from choria_broker.access.session import Holder

if TYPE_CHECKING:
    from choria_broker.security.conditions import Condition


class SubjectRules(msgspec.Struct, frozen=True):
    """Subjects of one direction.

    Attributes:
        allow: None allows everything; otherwise a non-empty tuple of the only subjects allowed.
        deny: subjects denied in any case; deny wins.
    """

    allow: tuple[str, ...] | None = None
    deny: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse an empty allow list: engines disagree on whether it means nothing or everything."""
        if self.allow == ():
            raise ValueError("an allow list is either None or has entries")


class Permissions(msgspec.Struct, frozen=True):
    """What a connection may publish and subscribe to."""

    publish: SubjectRules = SubjectRules()
    subscribe: SubjectRules = SubjectRules()


class Step(msgspec.Struct, frozen=True):
    """One rule the decision looked at, kept so that a decision can be explained.

    Attributes:
        rule: kebab-case name of the rule.
        outcome: what it came to, in a few words without secrets.
    """

    rule: str
    outcome: str


class Reach(msgspec.Struct, frozen=True):
    """For which other connections a verdict may be used without asking again.

    Attributes:
        until: until when, Unix milliseconds.
        of_class: for all of the same kind and class of TLS that send nothing to be known by; otherwise for those that
            agree in everything that can be known of them, and have shown that they hold the same key.
    """

    until: int
    of_class: bool = False


class Verdict(msgspec.Struct, frozen=True):
    """One answer.

    Attributes:
        allowed: let in or not.
        rule: kebab-case name of the rule that decided.
        reason: one sentence for the operator's log, without secrets.
        method: how the connection was recognised: ``mtls``, ``token``, ``provisioning``, ``provisioner``,
            ``system``, ``in_process``, ``unverified`` or ``none``.
        account: account it is placed in, empty on refusal.
        username: name shown by the engine; on tokens the caller id or identity.
        permissions: None means unlimited.
        max_subscriptions: most subscriptions of the connection.
        remedy: what the operator can do about a refusal, may be empty.
        trail: the rules looked at, in order, the deciding one last.
        holder: whose the connection is, None on refusal.
        conditions: signatures that have to hold before anybody is let in; nobody has looked at them.
        proof: ed25519 key with which the peer has to have signed the nonce, which nobody has looked at; empty for none.
        reach: for which other connections it is good, None for none.
    """

    allowed: bool
    rule: str
    reason: str
    method: str = "none"
    account: str = ""
    username: str = ""
    permissions: Permissions | None = None
    max_subscriptions: int = 0
    remedy: str = ""
    trail: tuple[Step, ...] = ()
    holder: Holder | None = None
    conditions: tuple[Condition, ...] = ()
    proof: bytes = b""
    reach: Reach | None = None

    @property
    def is_final(self) -> bool:
        """Nothing is left to be looked at."""
        return not (self.conditions or self.proof)
