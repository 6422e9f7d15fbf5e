"""A Chromium without a window, driven over its debugging protocol: what tests of pages need of it, and no more."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import os
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest

DEADLINE = 30.0
_LARGEST = 64 * 1024 * 1024


def chromium_program() -> Path:
    """Return a Chromium of this machine; skip the test where there is none."""
    names = (os.environ.get("CHROMIUM_BIN", ""), "chromium", "chromium-browser", "google-chrome")
    found = next((path for path in map(shutil.which, names) if path), None)
    if not found:
        pytest.skip("no browser: set CHROMIUM_BIN or put chromium on PATH")
    return Path(found)


def chromium_options(folder: Path) -> list[str]:
    """Tell how it is started: it reaches nothing but this machine, and keeps what it knows in the folder."""
    options = [
        "--headless=new",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
        f"--user-data-dir={folder / 'profile'}",
    ]
    if os.geteuid() == 0:
        options.append("--no-sandbox")  # It refuses to run as root otherwise.
    return options


class Tab:
    """A page in the browser.

    Attributes:
        complaints: what scripts and the policy of contents had to complain about so far.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Use ``browser``."""
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._loaded = asyncio.Event()
        self.complaints: list[str] = []

    async def listen(self) -> None:
        """Take what the browser says, as long as it does."""
        async for message in self._socket:
            said = json.loads(message.data)
            if "id" in said:
                self._answers.pop(said["id"]).set_result(said)
            elif said["method"] == "Page.loadEventFired":
                self._loaded.set()
            elif said["method"] == "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(said["params"]["exceptionDetails"])[:500])
            elif said["method"] == "Log.entryAdded" and said["params"]["entry"]["level"] == "error":
                self.complaints.append(said["params"]["entry"]["text"])

    async def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Have the browser do something, and return what came of it."""
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        async with asyncio.timeout(DEADLINE):
            said = await answer
        assert "error" not in said, (method, said["error"])
        found: dict[str, Any] = said["result"]
        return found

    async def open(self, url: str) -> None:
        """Show a page, and wait until it is there."""
        async with self.leading_elsewhere():
            await self.call("Page.navigate", url=url)

    @contextlib.asynccontextmanager
    async def leading_elsewhere(self) -> AsyncIterator[None]:
        """Do something that leads to another page, and wait until that is there."""
        self._loaded.clear()
        yield
        async with asyncio.timeout(DEADLINE):
            await self._loaded.wait()

    async def run(self, script: str) -> Any:
        """Evaluate an expression on the page; what is promised is waited for."""
        told = await self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    async def until(self, condition: str) -> Any:
        """Wait until an expression is true, looked at whenever the page changes; return its value."""
        script = f"""new Promise((done, failed) => {{
            const look = () => {{ const found = {condition}; if (found) {{ seen.disconnect(); done(found); }} }};
            const seen = new MutationObserver(look);
            seen.observe(document, {{subtree: true, childList: true, attributes: true, characterData: true}});
            setTimeout(() => failed(new Error("not in time")), {(DEADLINE - 5) * 1000});
            look();
        }})"""
        return await self.run(script)

    async def key(self, key: str, code: str = "", text: str = "") -> None:
        """Press a key."""
        await self.call("Input.dispatchKeyEvent", type="keyDown", key=key, code=code or key, text=text)
        await self.call("Input.dispatchKeyEvent", type="keyUp", key=key, code=code or key)

    async def look_like(self, width: int, height: int, *, dark: bool = False) -> None:
        """Be a screen of this size, in this colour scheme."""
        mobile = width < 600
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])

    async def picture(self, file: Path) -> None:
        """Write a picture of the whole page."""
        height = await self.run("document.documentElement.scrollHeight")
        width = await self.run("innerWidth")
        area = {"x": 0, "y": 0, "width": width, "height": min(height, 4000), "scale": 1}
        told = await self.call("Page.captureScreenshot", clip=area, captureBeyondViewport=True)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(base64.b64decode(told["data"]))


@contextlib.asynccontextmanager
async def browser(program: Path, folder: Path, *options: str) -> AsyncIterator[Tab]:
    """Run a browser with one page, as long as the context lasts."""
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / "profile" / "DevToolsActivePort"
    with (folder / "browser.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            program,
            *(*chromium_options(folder), "--remote-debugging-port=0", *options, "about:blank"),
            stdout=log,
            stderr=log,
            env={**os.environ, "HOME": str(folder)},
        )
    try:
        async with aiohttp.ClientSession() as session:
            port = await _written(place)
            tabs = await _tabs(session, port)
            async with session.ws_connect(tabs[0]["webSocketDebuggerUrl"], max_msg_size=_LARGEST) as socket:
                tab = Tab(socket)
                async with asyncio.TaskGroup() as group:
                    listening = group.create_task(tab.listen())
                    for domain in ("Page", "Runtime", "Log"):
                        await tab.call(f"{domain}.enable")
                    yield tab
                    listening.cancel()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _written(place: Path) -> int:
    async with asyncio.timeout(DEADLINE):
        while not (place.exists() and place.read_text().count("\n")):
            await asyncio.sleep(0.02)
    return int(place.read_text().splitlines()[0])


async def _tabs(session: aiohttp.ClientSession, port: int) -> Sequence[dict[str, Any]]:
    pages: Callable[[dict[str, Any]], bool] = lambda each: each["type"] == "page"  # noqa: E731
    async with asyncio.timeout(DEADLINE):
        while True:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                found = [each for each in await answer.json(content_type=None) if pages(each)]
            if found:
                return found
            await asyncio.sleep(0.02)
