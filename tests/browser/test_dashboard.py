"""The dashboard in a browser, before a broker with 2,000 connections that refuses others all the time."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import aiohttp
import pytest

from choria_broker.ui.site import PAGES
from support.besieged import HOSTILE, HOSTILE_SERVER, Busy
from support.chromium import Tab
from support.looking import NO_AXE, PICTURES, WIDE, axe, looked_over, told
from support.settled import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

THERE = 100
"""Milliseconds after which a page is there, with all that it loads; the quickest of several counts."""

TIMING = (
    "(({requestStart, responseEnd, loadEventEnd, decodedBodySize}) => [loadEventEnd, responseEnd - requestStart, "
    "decodedBodySize])(performance.getEntriesByType('navigation')[0])"
)

SHARE = 0.02
"""Of a core that an open page may cost the broker."""


async def pages(busy: Busy) -> dict[str, str]:
    """Return the address of each page, in forms in which it has something to show."""
    async with aiohttp.ClientSession() as session:
        async with session.get(busy.url + "connections.json?sort=-cid") as answer:
            latest = (await answer.json())["connections"][0]["connection"]
        async with session.get(busy.url + "refusals.json") as answer:
            refused = (await answer.json())["latest"][0]["connection_id"]
    asking = {
        "find": "find?text=web1.example",
        "connection": f"connection?cid={latest}",
        "explain": f"explain?connection={latest}&publish=choria.x",
    }
    return {each.name: asking.get(each.name, each.name) for each in PAGES} | {
        "explain-form": "explain",
        "refused": f"connection?cid={refused}",
        "problem": "connections?page=99999",
        "filtered": "connections?identity=web1*&sort=-rate&size=50",
    }


@pytest.mark.timeout(900)
async def test_every_page_in_every_look(busy: Busy, tab: Tab) -> None:
    """Pictures are taken for people to look at. Nothing is wider than a screen, and axe-core finds nothing."""
    wrong = []
    for name, path in (await pages(busy)).items():
        wrong += await looked_over(tab, busy.url + path, name)
    assert wrong == []
    assert [each for each in tab.complaints if "404" not in each] == []
    if not axe():
        pytest.skip(NO_AXE)


async def test_names_of_strangers_stay_text(busy: Busy, tab: Tab) -> None:
    await tab.look_like(*WIDE)
    for path in (
        f"find?text={HOSTILE_SERVER[:5]}",
        "refusals",
        "connections?sort=name&text=img",
        "connections?caller=img",
    ):
        await told(tab, busy.url + path)
        assert await tab.run("document.images.length") == 0, path
    await told(tab, busy.url + "find?text=img")
    text = await tab.run("document.querySelector('main').innerText")
    assert HOSTILE in text
    assert HOSTILE_SERVER in text


@pytest.mark.timeout(300)
async def test_a_page_is_there_in_a_moment_and_an_open_one_costs_little(busy: Busy, tab: Tab) -> None:
    await tab.look_like(*WIDE)
    moments, answers, lines = {}, {}, []
    for name, path in (await pages(busy)).items():
        took = []
        for _ in range(7):
            await told(tab, busy.url + path)
            took.append(await tab.run(TIMING))
        moments[name], answers[name], size = (min(each) for each in zip(*took, strict=True))
        lines.append(
            f"{name}: {moments[name]:.0f} ms, of these {answers[name]:.0f} for the answer, {size / 1000:.1f} kB"
        )
    for name in ("health", "connections", "refusals"):
        share = await cost(busy, tab, name)
        lines.append(f"{name} open: {share * 100:.2f} % of a core")
        assert share < SHARE, lines
    PICTURES.mkdir(parents=True, exist_ok=True)
    (PICTURES / "measured.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert max(answers.values()) < THERE, lines
    if os.getloadavg()[0] <= (os.cpu_count() or 1):  # A browser on a machine that is busy with others waits for them.
        assert max(moments.values()) < THERE, lines


async def cost(busy: Busy, tab: Tab, path: str) -> float:
    """Tell how much of a core an open page costs the broker, beside what it does anyway."""
    seconds = float(os.environ.get("WATCHED", "5"))

    async def share() -> float:
        begun, worked = time.monotonic(), busy.worked()
        await asyncio.sleep(seconds)
        return (busy.worked() - worked) / (time.monotonic() - begun)

    busy.knocking.clear()
    await tab.open("about:blank")
    alone = await share()
    await tab.open(busy.url + path)
    await tab.run(PERIOD)
    watched = await share()
    busy.knocking.set()
    return max(watched - alone, 0.0)


PERIOD = "new Promise((done) => setTimeout(done, 1000))"
"""What the first look costs is no part of what an open page costs."""

LOOK = "document.dispatchEvent(new Event('visibilitychange'))"
LOOKED = f"new Promise((done) => {{ document.addEventListener('choria:looked', done, {{once: true}}); {LOOK}; }})"
"""Has the page look again, as it does when somebody comes back to it."""


async def test_an_open_page_changes_only_what_differs(busy: Busy, tab: Tab) -> None:
    await tab.look_like(*WIDE)
    await told(tab, busy.url + "connections?size=50")
    await tab.run(
        """(() => {
            window.row = document.querySelector('tbody tr');
            window.changed = 0;
            new MutationObserver((all) => { for (const each of all) if (each.addedNodes.length) window.changed += 1; })
                .observe(document.querySelector('table'), {subtree: true, childList: true});
            const box = document.querySelector('input[name=identity]');
            box.focus();
            box.value = 'typed';
            scrollTo(0, 400);
        })()"""
    )
    await tab.run(LOOKED)
    await tab.run(LOOKED)
    assert await tab.run("window.row.isConnected && document.querySelector('tbody tr') === window.row")
    assert await tab.run("window.changed") == 0
    assert await tab.run("document.activeElement.name + ' ' + document.activeElement.value") == "identity typed"
    assert await tab.run("scrollY") == 400


async def test_refusals_appear_by_themselves_and_only_while_somebody_looks(busy: Busy, tab: Tab) -> None:
    await told(tab, busy.url + "refusals")
    first = await tab.run("document.querySelector('#latest ~ .wide tbody tr').dataset.key")
    await tab.until(f"document.querySelector('#latest ~ .wide tbody tr').dataset.key !== '{first}'")
    await tab.run(
        """(() => {
            window.asked = 0;
            const before = window.fetch;
            window.fetch = (...all) => { window.asked += 1; return before(...all); };
            Object.defineProperty(document, 'hidden', {value: true, configurable: true});
            document.dispatchEvent(new Event('visibilitychange'));
        })()"""
    )
    await tab.run("new Promise((done) => setTimeout(done, 6000))")
    assert await tab.run("window.asked") == 0
    await tab.run(f"delete document.hidden; {LOOKED}")
    assert await tab.run("window.asked") == 1


async def test_a_slash_leads_to_the_find_box_and_everything_goes_by_keyboard(busy: Busy, tab: Tab) -> None:
    await told(tab, busy.url + "health")
    await tab.key("Tab")
    assert await tab.run("document.activeElement.textContent") == "Skip to the content"
    await tab.key("/", "Slash", "/")
    assert await tab.run("document.activeElement.id") == "find"
    assert await tab.run("document.activeElement.value") == ""
    await tab.call("Input.insertText", text="web1.example")
    await tab.key("/", "Slash", "/")
    assert await tab.run("document.activeElement.value") == "web1.example/"
    await tab.run("document.activeElement.value = 'web1.example'")
    async with tab.leading_elsewhere():
        await tab.key("Enter", "Enter", "\r")
    assert await tab.run("location.search") == "?text=web1.example"
    assert await tab.run("document.querySelectorAll('tbody tr').length") > 0


async def test_times_are_in_the_readers_zone(busy: Busy, tab: Tab) -> None:
    await tab.call("Emulation.setTimezoneOverride", timezoneId="Asia/Kolkata")
    await told(tab, busy.url + "health")
    clock = "document.querySelector('footer time')"
    shown = await tab.until(f"{clock}.title && {clock}.textContent")
    assert "+5:30" in shown or "IST" in shown, shown
    await tab.run(LOOKED)
    assert await tab.run(f"{clock}.title.endsWith(' UTC')")
    await tab.call("Emulation.setTimezoneOverride", timezoneId="")


async def test_pages_work_without_scripts(busy: Busy, tab: Tab) -> None:
    await tab.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        await tab.open(busy.url + "connections?identity=web1.example.net")
        page = await tab.call("DOM.getDocument", depth=-1)
        assert "web1.example.net" in str(page)
        assert " UTC" in str(page)
        await tab.picture(PICTURES / "without-scripts.png")
    finally:
        await tab.call("Emulation.setScriptExecutionDisabled", value=False)


async def test_a_broker_that_went_away_is_told_of(busy: Busy, tab: Tab) -> None:
    await told(tab, busy.url + "health")
    await tab.call("Network.enable")
    offline = {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    await tab.call("Network.emulateNetworkConditions", **offline)
    await tab.run(LOOK)
    await tab.until("document.getElementById('freshness').textContent.includes('does not answer')")
    await tab.call("Network.emulateNetworkConditions", **{**offline, "offline": False})
    await tab.run(LOOKED)
    assert await tab.run("document.getElementById('freshness').textContent") == ""
    tab.complaints.clear()


async def test_forms_are_taken_from_the_own_pages(busy: Busy, tab: Tab, tmp_path: Path) -> None:
    """A browser tells with a form which page it is from, as far as that page lets it."""
    await told(tab, busy.url + "explain")
    await tab.run("document.querySelector('[name=user]').value = 'somebody'")
    async with tab.leading_elsewhere():
        await tab.run("document.querySelector('.describe button').click()")
    assert await tab.run("document.querySelector('.sentence').classList.contains('refused')")
    assert await tab.run("document.querySelector('.describe [name=user]').value") == "somebody"
    await told(tab, busy.url + "bundle")
    await tab.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    await tab.run("document.querySelector('main form button').click()")

    async def downloaded() -> bool:
        return any(tmp_path.glob("choria-broker-*.tar.gz"))

    await eventually(downloaded)
