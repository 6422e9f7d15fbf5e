"""Pages as HTML: every text escaped, times for programs and for people."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from choria_broker.access.verdict import Step
from choria_broker.audit.denials import Noted
from choria_broker.audit.throttle import Refused
from choria_broker.sessions.documents import Found, Sightings
from choria_broker.stats.history import History
from choria_broker.status.document import HealthReport
from choria_broker.ui import render
from choria_broker.ui.page import Asked, BadInputError, Look
from choria_broker.ui.pages import connection, refusals
from choria_broker.ui.site import BY_NAME
from choria_broker.values import replace
from support.dashboard import HOSTILE, NOW, asked, decision, departed, session, settings_of, status_of

NOTHING = History(10.0).drawn()


def drawn(name: str, *, part: bool = False, **fields: object) -> str:
    row, asked, status = BY_NAME[name], Asked(NOW), status_of(**fields)
    return render.page(row, row.view((status, NOTHING), asked), asked, render.shell(status, NOW), part=part)


def test_what_others_have_chosen_is_text_and_never_markup() -> None:
    page = drawn("health", identity=HOSTILE, source=HOSTILE, health=HealthReport("failing", HOSTILE, (HOSTILE,)))
    assert "<img" not in page
    assert page.count("&lt;img src=x onerror=alert(1)&gt;&#34;&#39;&amp;") >= 4


def test_a_part_is_what_stands_in_the_whole_page() -> None:
    assert drawn("health", part=True).strip() in drawn("health")


def test_a_problem_is_told_in_the_frame() -> None:
    error = BadInputError(HOSTILE, "Do something else.")
    page = render.problem(error, None, render.shell(status_of(), NOW), part=False)
    assert "Do something else." in page
    assert "<img" not in page
    assert 'href="health"' in page


def test_a_view_is_told_to_programs() -> None:
    row = BY_NAME["health"]
    found = json.loads(render.document(row, row.view((status_of(), NOTHING), Asked(NOW))))
    assert found["condition"] == "ok"


def test_files_have_types_and_tags() -> None:
    found = render.assets()
    assert {"style.css", "live.js", "icon.svg"} <= set(found)
    assert all(each.tag.startswith('"') and each.content for each in found.values())
    assert len({each.tag for each in found.values()}) == len(found)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "1970-01-01T00:00:00Z"), (NOW, "2026-09-21T14:13:20Z"), (NOW + 0.9, "2026-09-21T14:13:20Z")],
)
def test_moments_are_in_utc(seconds: float, text: str) -> None:
    assert f'datetime="{text}"' in render.moment(seconds)
    assert f"{text[:10]} {text[11:19]} UTC" in render.moment(seconds)


def test_lengths_and_numbers() -> None:
    assert render.duration(3661.4) == "1h1m1s"
    assert render.grouped(1234567) == "1\N{NARROW NO-BREAK SPACE}234\N{NARROW NO-BREAK SPACE}567"
    assert render.grouped(999) == "999"


NAMED_SO = session(7, HOSTILE, kind=HOSTILE, account=HOSTILE, address=HOSTILE, username=HOSTILE)
REFUSED = decision(
    7,
    common_name=HOSTILE,
    claimed=HOSTILE,
    reason=HOSTILE,
    remedy=HOSTILE,
    address=HOSTILE,
    serial=HOSTILE,
    trail=(Step("certificate-required", HOSTILE),),
)
DENIED = (Noted("publish", HOSTILE, HOSTILE, HOSTILE, 7, 2, NOW),)
PEOPLE = Sightings(HOSTILE, NOW, (NAMED_SO,), (departed(8, HOSTILE, reason=HOSTILE),), (), 3)
REFUSALS = refusals.Facts(
    status_of(
        refused={HOSTILE: 1},
        engine_refused={HOSTILE: 1},
        refused_addresses=(Refused(HOSTILE, 1, NOW, {HOSTILE: 1}),),
        denied=DENIED,
        operator=HOSTILE,
    ),
    (REFUSED,),
    settings_of(plugin__security__file__ca=3),
)
ONE = connection.Facts(
    connection=7,
    look=Look(NOW, (NAMED_SO, session(9, HOSTILE))),
    departed=(departed(8, HOSTILE, reason=HOSTILE),),
    decision=decision(7, allowed=True, rule="mtls", username=HOSTILE, claimed=HOSTILE),
    denied=DENIED,
    settings=settings_of(),
)
DRAWN: tuple[tuple[str, object, dict[str, str]], ...] = (
    ("connections", Look(NOW, (NAMED_SO,)), {}),
    ("connections", Look(NOW, (NAMED_SO,)), {"text": HOSTILE, "identity": HOSTILE, "issuer": "", "token": HOSTILE}),
    (
        "find",
        (Found(HOSTILE, whole=False, limit=HOSTILE, brokers=(PEOPLE,), silent=(HOSTILE,)), HOSTILE),
        {"text": HOSTILE},
    ),
    ("refusals", REFUSALS, {"address": HOSTILE}),
    ("refusals", REFUSALS, {}),
    ("connection", ONE, {}),
    ("connection", replace(ONE, look=Look(NOW, ()), departed=(), decision=REFUSED), {}),
)


@pytest.mark.parametrize(("name", "facts", "values"), DRAWN)
def test_names_of_strangers_are_text_on_every_page(name: str, facts: object, values: dict[str, str]) -> None:
    row, question = BY_NAME[name], asked(**values)
    page = render.page(
        row, row.view(facts, question), question, render.shell(status_of(identity=HOSTILE), NOW), part=False
    )
    assert "<img" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "\"'&" not in page
    json.loads(render.document(row, row.view(facts, question)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("broker.example.net", "broker.<wbr>example.<wbr>net"),
        ("KV_CHORIA_LEADER", "KV_<wbr>CHORIA_<wbr>LEADER"),
        ("/etc/choria/broker.conf:13", "/etc/<wbr>choria/<wbr>broker.conf:13"),
        ("nats://streams.example.net:4222", "nats://<wbr>streams.<wbr>example.<wbr>net:4222"),
        ("nats://127.0.0.1:4222", "nats://<wbr>127.0.0.1:4222"),
        ("", ""),
        ("...", "..."),
        ("a.<b>", "a.&lt;b&gt;"),
        ("a.b<img>", "a.<wbr>b&lt;img&gt;"),
    ],
)
def test_names_and_places_break_after_signs(text: str, expected: str) -> None:
    assert render.parted(text) == expected


@given(st.text())
def test_what_breaks_is_text_all_the_same(text: str) -> None:
    assert render.parted(text).replace("<wbr>", "") == Markup.escape(text)
