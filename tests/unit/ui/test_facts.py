"""What pages about connections get from a broker before they are made."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from choria_broker.sessions.documents import Found
from choria_broker.ui.page import BadInputError, Knowledge, Look
from choria_broker.ui.pages import connection, connections, explain, find, refusals
from support.dashboard import NOW, asked, decision, departed, session, settings_of, status_of

LOOK = Look(NOW, (session(7),))


async def _look() -> Look:
    return LOOK


async def _departed() -> tuple[Any, ...]:
    return (departed(5),)


async def _find(text: str) -> Found:
    return Found(text, whole=True, limit="", brokers=())


def known() -> Knowledge:
    decided = decision(7)
    return cast(
        "Knowledge",
        SimpleNamespace(
            status=status_of,
            settings=settings_of,
            look=_look,
            departed=_departed,
            find=_find,
            decisions=lambda: [decided],
            decision=lambda number: decided if number == 7 else None,
            authorities=tuple,
        ),
    )


async def test_they_get_what_they_need() -> None:
    assert await connections.facts(known(), asked()) is LOOK
    one = await connection.facts(known(), asked(cid="7"))
    assert (one.connection, one.look, one.decision) == (7, LOOK, decision(7))
    assert (await refusals.facts(known(), asked())).decisions == (decision(7),)
    assert (await explain.facts(known(), asked(connection="7"))).decision == decision(7)
    assert (await explain.facts(known(), asked())).decision is None
    assert (await find.facts(known(), asked()))[0] is None
    found, _ = await find.facts(known(), asked(text="web"))
    assert found
    assert found.text == "web"


@pytest.mark.parametrize(
    ("page", "values", "says"),
    [
        (connection, {}, "No connection is named."),
        (connection, {"cid": "x"}, "cid must be a whole number above 0."),
        (explain, {"connection": "9"}, "no longer kept"),
        (find, {"text": "x" * 300}, "too long"),
    ],
)
async def test_what_makes_no_sense_is_refused(page: Any, values: dict[str, str], says: str) -> None:
    with pytest.raises(BadInputError, match=says):
        await page.facts(known(), asked(**values))
