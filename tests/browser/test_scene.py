"""Pages about everything but connections, in a browser: of a broker with much to tell, and of one with nothing."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import cast

import pytest
from aiohttp import web

from choria_broker.stats.history import Kept
from choria_broker.ui.page import Knowledge
from choria_broker.web.serving import serve
from choria_broker.web.ui import dashboard
from support.chromium import Tab
from support.dashboard import HOSTILE, NOW
from support.looking import NO_AXE, PHONE, PICTURES, WIDE, axe, looked_over, told
from support.scene import hour, knowledge, quiet

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAMES = (
    "health",
    "history",
    "links",
    "streams",
    "provisioning",
    "companions",
    "certificates",
    "settings",
    "acts",
    "bundle",
)
DRAWN = ("health", "history", "streams", "provisioning")
CANVAS = "[...document.querySelectorAll('[data-series]')].every((place) => place.querySelector('canvas'))"


@contextlib.asynccontextmanager
async def served(known: Knowledge, port: int = 0) -> AsyncIterator[str]:
    """Serve the dashboard of a broker that is none."""
    app = web.Application()
    for path, handler in dashboard(known, lambda _: "").items():
        app.router.add_route("*", path, handler)
    async with serve(app, "127.0.0.1", port) as taken:
        yield f"http://127.0.0.1:{taken}/ui/"


@pytest.mark.timeout(600)
async def test_every_page_with_much_to_tell_and_with_nothing(tab: Tab) -> None:
    wrong = []
    async with served(knowledge()) as much, served(quiet()) as little:
        for name in NAMES:
            wrong += await looked_over(tab, much + name, f"much-{name}", CANVAS if name in DRAWN else "true")
            wrong += await looked_over(tab, little + name, f"little-{name}")
        wrong += await looked_over(tab, f"{much}settings?all=1&text=peers", "much-settings-found")
    assert wrong == []
    assert tab.complaints == []
    if not axe():
        pytest.skip(NO_AXE)


async def test_texts_of_others_stay_text(tab: Tab) -> None:
    await tab.look_like(*WIDE)
    async with served(knowledge(HOSTILE)) as url:
        for name in NAMES:
            await told(tab, url + name)
            assert await tab.run("document.images.length") == 0, name
    assert tab.complaints == []


async def test_graphs_go_on_by_themselves_with_what_is_new(tab: Tab) -> None:
    history = hour()
    known = SimpleNamespace(**{**vars(cast("SimpleNamespace", knowledge())), "history": history.drawn})
    await tab.look_like(*WIDE)
    async with served(cast("Knowledge", known)) as url:
        await told(tab, url + "history")
        await tab.until(CANVAS)
        connections = "document.querySelector('#graph-connections .key b').textContent"
        assert await tab.run(connections) == "4\u202f200"
        history.take(NOW + 10, Kept.READ_AT, {Kept.CONNECTIONS: 4321})
        await tab.run("document.dispatchEvent(new Event('choria:looked'))")
        await tab.until(f"{connections} === '4\u202f321'")
        loaded = await tab.run("performance.getEntriesByType('resource').map(({name}) => name)")
        asked = [each for each in loaded if ".json" in each]
        assert [each.partition("?")[2] for each in asked] == ["", f"after={int(NOW) - 30}"]
        # Who looks closer goes on doing so.
        await tab.run(f"uPlot.sync('hour').plots[0].setScale('x', {{min: {NOW - 600}, max: {NOW - 300}}})")
        history.take(NOW + 20, Kept.READ_AT, {Kept.CONNECTIONS: 4322})
        await tab.run("document.dispatchEvent(new Event('choria:looked'))")
        await tab.until(f"{connections} === '4\u202f322'")
        assert await tab.run("uPlot.sync('hour').plots[0].scales.x.max") == NOW - 300
        assert await tab.run("uPlot.sync('hour').plots[1].scales.x.max") == NOW + 20
        # A graph that is looked at keeps its place when the page becomes its newer self.
        await tab.run("document.querySelector('canvas').dataset.same = 'yes'")
        await tab.run("document.dispatchEvent(new Event('visibilitychange'))")
        assert await tab.run("document.querySelector('canvas').dataset.same") == "yes"
    assert tab.complaints == []


async def test_without_scripts_the_server_has_drawn_everything(tab: Tab) -> None:
    await tab.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        async with served(knowledge()) as url:
            for look, size in (("wide", WIDE), ("phone", PHONE)):
                await tab.look_like(*size)
                await tab.open(url + "history")
                page = str(await tab.call("DOM.getDocument", depth=-1))
                assert page.count("line-1") >= 16
                assert "394.5 KiB/s" in page
                await tab.picture(PICTURES / f"history-without-scripts-{look}.png")
    finally:
        await tab.call("Emulation.setScriptExecutionDisabled", value=False)


async def test_the_map_is_read_out_as_what_it_is(tab: Tab) -> None:
    await tab.look_like(*WIDE)
    async with served(knowledge()) as url:
        await told(tab, url + "links")
        tree = await tab.call("Accessibility.getFullAXTree")
    named = {(each["role"]["value"], each.get("name", {}).get("value")) for each in tree["nodes"] if "role" in each}
    assert {role for role, name in named if name == "Map of links"} >= {"region", "image"}


MARKS = """(() => {
    window.marks = [];
    const {fillText: write, clearRect: clear} = CanvasRenderingContext2D.prototype;
    CanvasRenderingContext2D.prototype.clearRect = function (...all) {
        window.marks = window.marks.filter(({graph}) => graph !== this.canvas.closest('figure').id);
        return clear.apply(this, all);
    };
    CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
        const half = this.measureText(text).width / 2;
        const at = this.getTransform().transformPoint(new DOMPoint(x, y));
        const sides = {left: [0, 2 * half], center: [half, half], right: [2 * half, 0]}[this.textAlign];
        window.marks.push({graph: this.canvas.closest('figure').id, text, y: at.y, left: at.x - sides[0],
            right: at.x + sides[1], width: this.canvas.width});
        return write.apply(this, arguments);
    };
})()"""


@pytest.mark.parametrize("points", [2, 3, 5, 9, 20, 25, 27, 29, 40, 70, 130, 250, 360])
async def test_marks_of_time_are_whole_and_no_two_are_the_same(tab: Tab, points: int) -> None:
    """At the right edge a mark stands under the last point, and a broker may have run for a moment only."""
    history = hour(points=points)
    known = SimpleNamespace(**{**vars(cast("SimpleNamespace", knowledge())), "history": history.drawn})
    await tab.call("Emulation.setTimezoneOverride", timezoneId="UTC")
    added = await tab.call("Page.addScriptToEvaluateOnNewDocument", source=MARKS)
    try:
        async with served(cast("Knowledge", known)) as url:
            for size in (WIDE, PHONE):
                await tab.look_like(*size)
                await told(tab, url + "history")
                await tab.until(CANVAS)
                await tab.until("window.marks.length")
                marks = await tab.run("window.marks")
                assert [each for each in marks if each["left"] < 0 or each["right"] > each["width"]] == []
                drawn = [each for each in marks if each["graph"] == "graph-connections"]
                lowest = max(each["y"] for each in drawn)
                times = [each["text"] for each in drawn if each["y"] == lowest]
                assert times
                assert len(set(times)) == len(times), times
                # None stands beside the hour.
                first, last = (f"{dt.datetime.fromtimestamp(at, dt.UTC):%H:%M:%S}" for at in (NOW - points * 10, NOW))
                assert [each for each in times if not first <= f"{each}:00"[:8] <= last] == []
    finally:
        await tab.call("Page.removeScriptToEvaluateOnNewDocument", identifier=added["identifier"])
        await tab.call("Emulation.setTimezoneOverride", timezoneId="")


async def test_the_hour_in_figures_is_seen_whole(tab: Tab) -> None:
    await tab.look_like(*WIDE)
    async with served(knowledge()) as url:
        await told(tab, url + "history")
        assert (
            await tab.run(
                "(({scrollWidth, clientWidth}) => scrollWidth - clientWidth)(document.querySelector('.wide'))"
            )
            <= 0
        )


SEEN = """(() => {
    const {top, bottom, width} = document.getElementById('freshness').getBoundingClientRect();
    const mark = getComputedStyle(document.querySelector('.broker .mark')).visibility;
    return [width > 0 && top >= 0 && bottom <= innerHeight, mark, document.getElementById('freshness').textContent];
})()"""


async def test_a_broker_that_is_away_is_in_sight(tab: Tab) -> None:
    """What was well a moment ago must not look as if it still were."""
    for size in (WIDE, PHONE):
        await tab.look_like(*size)
        async with served(knowledge()) as url:
            await told(tab, url + "health")
            assert await tab.run("document.getElementById('freshness').textContent") == ""
            port = int(url.split(":")[2].split("/")[0])
        await tab.run("document.dispatchEvent(new Event('visibilitychange'))")
        await tab.until("document.querySelector('.stale')")
        seen, mark, text = await tab.run(SEEN)
        assert (seen, mark) == (True, "hidden")
        assert "does not answer" in text
        async with served(knowledge(), port):
            await tab.run("document.dispatchEvent(new Event('visibilitychange'))")
            await tab.until("!document.querySelector('.stale')")
            assert await tab.run("getComputedStyle(document.querySelector('.broker .mark')).visibility") == "visible"
    tab.complaints.clear()
