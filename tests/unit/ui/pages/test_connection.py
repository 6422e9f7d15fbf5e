"""The page of one connection."""

from __future__ import annotations

import pytest

from choria_broker.access.verdict import Permissions
from choria_broker.audit.denials import Noted
from choria_broker.ui.page import Asked, BadInputError, Look
from choria_broker.ui.pages.connection import Facts, view
from choria_broker.values import replace
from support.dashboard import NOW, decision, departed, session, settings_of

FACTS = Facts(
    connection=7,
    look=Look(NOW, (session(7, "web"), session(8, "web"), session(9, "other")), {7: session(7, "web")}, 10.0),
    departed=(departed(3, "web"), departed(4, "other"), departed(5, "web")),
    decision=decision(7, allowed=True, rule="server-token", username="web", permissions=Permissions()),
    denied=(
        Noted("publish", "web", "a", "", 3, 1, NOW),
        Noted("publish", "x", "b", "", 7, 1, NOW),
        Noted("publish", "y", "c", "", 1, 1, NOW),
    ),
    settings=settings_of(),
)


def test_one_that_is_here_with_all_that_is_known() -> None:
    found = view(FACTS, Asked(NOW))
    assert (found.state, found.name) == ("connected", "web")
    assert [each.connection for each in found.others] == [8]
    assert [each.connection for each in found.earlier] == [5, 3]
    assert [each.subject for each in found.denied] == ["a", "b"]
    assert [each.rule for each in found.path] == ["tls-required", "server-token"]
    assert found.permissions == Permissions()
    assert found.knows_permissions


def test_one_that_has_ended() -> None:
    found = view(replace(FACTS, connection=5, decision=None), Asked(NOW))
    assert found.state == "ended"
    assert found.gone is not None
    assert not found.knows_permissions
    assert [each.connection for each in found.others] == [7, 8]


def test_one_that_was_refused_is_nobody() -> None:
    found = view(replace(FACTS, connection=11, decision=decision(11)), Asked(NOW))
    assert (found.state, found.name, found.others, found.earlier) == ("refused", "", (), ())
    assert found.path[-1].state == "refused"


def test_one_that_was_let_in_and_is_forgotten() -> None:
    told = decision(11, allowed=True, rule="mtls", username="web")
    assert view(replace(FACTS, connection=11, decision=told), Asked(NOW)).state == "ended"


def test_nobody_at_all() -> None:
    with pytest.raises(BadInputError, match="The broker knows nothing of connection 99") as told:
        view(replace(FACTS, connection=99, decision=None), Asked(NOW))
    assert told.value.status == 404


def test_those_without_a_name_are_not_taken_for_each_other() -> None:
    nobody = session(1, username="", holder=session(1).holder.__class__())
    look = Look(NOW, (nobody, session(2, username="", holder=nobody.holder)))
    found = view(replace(FACTS, connection=1, look=look, decision=None), Asked(NOW))
    assert (found.name, found.others) == ("", ())
