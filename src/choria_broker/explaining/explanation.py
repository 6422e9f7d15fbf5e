"""An explained decision, and the document that tells programs of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import msgspec

from choria_broker.access.explain import HANDSHAKE, Direction, SubjectAnswer, about_publish, about_subscribe
from choria_broker.access.needed import needed
from choria_broker.access.rules import RULES
from choria_broker.access.verdict import Verdict
from choria_broker.audit.decided import Decision
from choria_broker.audit.denials import Noted
from choria_broker.documentation import HelpKind, help_for
from choria_broker.values import replace

SENTENCES: Mapping[str, str] = {HANDSHAKE.name: HANDSHAKE.sentence} | {
    name: rule.sentence for name, rule in RULES.items()
}
"""What each rule says, by its name; the one that comes before all is among them."""


class Subjects(msgspec.Struct, frozen=True):
    """Subjects an operator asks about.

    Attributes:
        publish: subjects without wildcards.
        subscribe: subjects, perhaps with wildcards, perhaps followed by a space and a queue.
    """

    publish: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()

    def under(self, verdict: Verdict) -> tuple[SubjectAnswer, ...]:
        """Answer for each subject whether it may be used by who got a verdict, in the order asked."""
        if not verdict.allowed:
            return ()
        answers = (
            *(about_publish(verdict.permissions, subject) for subject in self.publish),
            *(about_subscribe(verdict.permissions, subject) for subject in self.subscribe),
        )
        return tuple(each if each.allowed else _with_needs(each, verdict) for each in answers)


def _with_needs(answer: SubjectAnswer, verdict: Verdict) -> SubjectAnswer:
    publish, subject = answer.direction is Direction.PUBLISH, answer.subject.partition(" ")[0]
    wanted = needed(verdict.rule, verdict.username, subject, publish=publish, granted=verdict.permissions)
    return replace(answer, needs=wanted)


class Explanation(msgspec.Struct, frozen=True):
    """A decision and all that is said about it.

    Attributes:
        connection: facts of the connection by name, without secrets, in the order they are shown.
        verdict: the decision.
        assumptions: sentences about what was taken for granted.
        subjects: answers about single subjects; empty for a refused connection.
        denied: what the connection's holder was denied so far, as the running broker knows it.
    """

    connection: Mapping[str, str]
    verdict: Verdict
    assumptions: tuple[str, ...] = ()
    subjects: tuple[SubjectAnswer, ...] = ()
    denied: tuple[Noted, ...] = ()

    @property
    def allowed(self) -> bool:
        """The connection comes in and may do everything that was asked."""
        return self.verdict.allowed and all(answer.allowed for answer in self.subjects)


def document(explanation: Explanation) -> dict[str, object]:
    """Write an explanation as one JSON document."""
    verdict = explanation.verdict
    return {
        "connection": dict(explanation.connection),
        "assumptions": list(explanation.assumptions),
        "trail": [
            {"rule": step.rule, "says": SENTENCES.get(step.rule, ""), "outcome": step.outcome} for step in verdict.trail
        ],
        "verdict": {
            "allowed": verdict.allowed,
            "rule": verdict.rule,
            "reason": verdict.reason,
            "remedy": verdict.remedy,
            "docs": help_for(HelpKind.RULE, verdict.rule) if verdict.rule in RULES else "",
            "method": verdict.method,
            "account": verdict.account,
            "username": verdict.username,
            "permissions": msgspec.to_builtins(verdict.permissions),
        },
        "subjects": msgspec.to_builtins(explanation.subjects),
        "denied": msgspec.to_builtins(explanation.denied),
        "allowed": explanation.allowed,
    }


def of_decision(decision: Decision, subjects: Subjects, denied: tuple[Noted, ...] = ()) -> Explanation:
    """Explain what was decided about a connection.

    Args:
        decision: that.
        subjects: what is asked besides.
        denied: what connections were denied; those of others are left out.
    """
    verdict = Verdict(
        allowed=decision.allowed,
        rule=decision.rule,
        reason=decision.reason,
        method=decision.method,
        account=decision.account,
        username=decision.username,
        permissions=decision.permissions,
        remedy=decision.remedy,
        trail=decision.trail,
    )
    who = decision.username or decision.address
    return Explanation(
        connection={
            "cid": str(decision.connection_id),
            "kind": decision.kind,
            "tls": decision.tls,
            "from": decision.address,
            "certificate": decision.common_name,
            "serial": decision.serial,
            "fingerprint": decision.fingerprint,
            "claimed": decision.claimed,
            "decided": dt.datetime.fromtimestamp(decision.time, dt.UTC).isoformat(timespec="seconds"),
        },
        verdict=verdict,
        subjects=subjects.under(verdict),
        denied=tuple(each for each in denied if each.who == who or each.connection == decision.connection_id)
        if verdict.allowed
        else (),
    )
