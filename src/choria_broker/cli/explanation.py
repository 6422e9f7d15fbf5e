"""How an explained decision is shown: as text for people, as one JSON document for programs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import click

from choria_broker.access.explain import HANDSHAKE, Direction, SubjectAnswer, about_publish, about_subscribe
from choria_broker.access.needed import needed
from choria_broker.access.quoted import quoted
from choria_broker.access.rules import RULES
from choria_broker.access.verdict import Permissions, SubjectRules, Verdict
from choria_broker.audit.denials import Noted
from choria_broker.wording import plain

_SENTENCES: Mapping[str, str] = {HANDSHAKE.name: HANDSHAKE.sentence} | {
    name: rule.sentence for name, rule in RULES.items()
}


@dataclasses.dataclass(frozen=True, slots=True)
class Subjects:
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
    return dataclasses.replace(answer, needs=wanted)


@dataclasses.dataclass(frozen=True, slots=True)
class Explanation:
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
            {"rule": step.rule, "says": _SENTENCES.get(step.rule, ""), "outcome": step.outcome}
            for step in verdict.trail
        ],
        "verdict": {
            "allowed": verdict.allowed,
            "rule": verdict.rule,
            "reason": verdict.reason,
            "remedy": verdict.remedy,
            "method": verdict.method,
            "account": verdict.account,
            "username": verdict.username,
            "permissions": dataclasses.asdict(verdict.permissions) if verdict.permissions else None,
        },
        "subjects": [dataclasses.asdict(answer) for answer in explanation.subjects],
        "denied": [dataclasses.asdict(each) for each in explanation.denied],
        "allowed": explanation.allowed,
    }


def text(explanation: Explanation) -> Iterator[str]:
    """Write an explanation line by line for a terminal."""
    verdict = explanation.verdict
    facts = (f"{name} {plain(str(value))}" for name, value in explanation.connection.items() if value)
    yield f"Connection: {', '.join(facts)}"
    for assumption in explanation.assumptions:
        yield f"Assumed: {plain(assumption)}"
    yield ""
    yield "Rules checked:"
    for number, step in enumerate(verdict.trail, 1):
        yield f"{number:3}. {plain(f'{step.rule}: {step.outcome}')}"
        yield f"     {_SENTENCES.get(step.rule, '')}"
    yield ""
    decided = _mark("Accepted" if verdict.allowed else "Refused", good=verdict.allowed)
    yield f"{decided} {plain(f'by {verdict.rule}. {verdict.reason}')}"
    if verdict.remedy:
        yield f"Remedy: {plain(verdict.remedy)}"
    if verdict.allowed:
        yield f"Account: {plain(verdict.account)}"
        yield f"Username: {quoted(verdict.username)}" if verdict.username else "Username: none"
        yield from _limits(verdict.permissions)
    for answer in explanation.subjects:
        yield f"{_mark('yes' if answer.allowed else 'no', good=answer.allowed)}: {plain(answer.sentence)}"
    for noted in explanation.denied:
        times = "once" if noted.times == 1 else f"{noted.times} times"
        yield f"Denied {times}: {plain(noted.words)}"


def _mark(word: str, *, good: bool) -> str:
    return click.style(word, fg="green" if good else "red", bold=True)


def _limits(permissions: Permissions | None) -> Iterator[str]:
    if permissions is None:
        yield "Permissions: no limits"
        return
    for direction, rules in ((Direction.PUBLISH, permissions.publish), (Direction.SUBSCRIBE, permissions.subscribe)):
        yield from _list(f"May {direction} to", rules)


def _list(title: str, rules: SubjectRules) -> Iterator[str]:
    but = ", except" if rules.deny else ""
    if rules.allow is None:
        yield f"{title}: everything{but}"
    else:
        yield f"{title}:"
        yield from (f"  {plain(entry)}" for entry in rules.allow)
        if rules.deny:
            yield "  except"
    yield from (f"    {plain(entry)}" for entry in rules.deny)
