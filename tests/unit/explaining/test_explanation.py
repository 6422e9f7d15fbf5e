"""An explained decision, as programs are told of it."""

from __future__ import annotations

import json

from choria_broker.access.verdict import Permissions, SubjectRules
from choria_broker.audit.denials import Noted
from choria_broker.explaining.explanation import SENTENCES, Subjects, document, of_decision
from support.dashboard import NOW, decision

DENIED = (
    Noted("publish", "up=bob", "a", "", 3, 1, NOW),
    Noted("publish", "other", "b", "", 7, 1, NOW),
    Noted("publish", "other", "c", "", 8, 1, NOW),
)


def test_what_was_decided_is_explained_with_what_was_denied() -> None:
    limits = Permissions(SubjectRules(("x.>",)))
    told = decision(7, allowed=True, rule="client-token", username="up=bob", permissions=limits)
    found = of_decision(told, Subjects(("x.y", "z")), DENIED)
    assert [each.allowed for each in found.subjects] == [True, False]
    assert [each.subject for each in found.denied] == ["a", "b"]
    assert not found.allowed


def test_a_refusal_has_no_subjects_and_nothing_denied() -> None:
    found = of_decision(decision(7), Subjects(("x",)), DENIED)
    assert (found.subjects, found.denied, found.allowed) == ((), (), False)


def test_the_document_has_a_sentence_for_each_rule() -> None:
    told = json.loads(json.dumps(document(of_decision(decision(7), Subjects()))))
    assert [each["says"] for each in told["trail"]] == [
        SENTENCES["tls-required"],
        SENTENCES["certificate-required"],
    ]
    assert told["verdict"]["remedy"] == "Give it one."
