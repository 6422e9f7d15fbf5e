"""How an explained decision is shown to people, as text."""

from __future__ import annotations

from collections.abc import Iterator

import click

from choria_broker.access.explain import Direction
from choria_broker.access.quoted import quoted
from choria_broker.access.rules import RULES
from choria_broker.access.verdict import Permissions, SubjectRules
from choria_broker.documentation import HelpKind, help_for
from choria_broker.explaining.explanation import SENTENCES, Explanation
from choria_broker.wording import plain


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
        yield f"     {SENTENCES.get(step.rule, '')}"
    yield ""
    decided = _mark("Accepted" if verdict.allowed else "Refused", good=verdict.allowed)
    yield f"{decided} {plain(f'by {verdict.rule}. {verdict.reason}')}"
    if verdict.remedy:
        yield f"Remedy: {plain(verdict.remedy)}"
    if not verdict.allowed and verdict.rule in RULES:
        yield f"More: {help_for(HelpKind.RULE, verdict.rule)}"
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
