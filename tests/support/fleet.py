"""Real Choria programs: servers and clients with the file security provider."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from support.testbed import Authority

DEADLINE = 60.0


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What a finished program left.

    Attributes:
        status: exit status.
        output: what it wrote, both streams together.
    """

    status: int
    output: str


@dataclasses.dataclass(frozen=True, slots=True)
class Fleet:
    """Makes Choria programs that share a CA.

    Attributes:
        program: path of the choria program.
        folder: where configurations and logs go.
        authority: the CA.
    """

    program: Path
    folder: Path
    authority: Authority

    def client(self, port: int, name: str = "bob.mcollective") -> Path:
        """Write the configuration of a client that uses the broker on a port, and return its path."""
        return self._configuration(name, port, "loglevel = warn\n")

    @contextlib.asynccontextmanager
    async def server(self, port: int, name: str, more: str = "") -> AsyncIterator[None]:
        """Run a Choria server that is connected to the broker on a port, with further lines of its configuration."""
        facts = self.folder / f"{name}.facts.yaml"
        facts.write_text("{}\n", encoding="utf-8")
        classes = self.folder / f"{name}.classes.txt"
        classes.write_text("role\n", encoding="utf-8")
        log = self.folder / f"{name}.log"
        config = self._configuration(
            name,
            port,
            f"logfile = {log}\n"
            "loglevel = debug\n"
            "rpcauthorization = 0\n"
            "plugin.choria.server.provision = false\n"
            f"plugin.yaml = {facts}\n"
            "factsource = yaml\n"
            f"classesfile = {classes}\n"
            f"libdir = {self.folder}\n{more}",
        )
        process = await asyncio.create_subprocess_exec(
            self.program,
            "server",
            "run",
            "--config",
            config,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            await _contains(log, "Connected to nats")
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def run(self, *arguments: str | Path) -> Outcome:
        """Run a choria command to its end."""
        return await run(self.program, *arguments)

    async def run_until(self, *arguments: str | Path, wanted: Iterable[str] = ()) -> Outcome:
        """Run a choria command until it succeeds and writes all that is wanted; see ``run_until``."""
        return await run_until(self.program, *arguments, wanted=wanted)

    def _configuration(self, name: str, port: int, more: str) -> Path:
        own = self.authority.issue(name, rsa=True)
        path = self.folder / f"{name}.conf"
        path.write_text(
            f"identity = {name}\n"
            "collectives = mcollective\n"
            "main_collective = mcollective\n"
            "plugin.choria.use_srv = false\n"
            f"plugin.choria.middleware_hosts = nats://127.0.0.1:{port}\n"
            "plugin.security.provider = file\n"
            f"plugin.security.file.certificate = {own.certificate}\n"
            f"plugin.security.file.key = {own.key}\n"
            f"plugin.security.file.ca = {self.authority.ca}\n" + more,
            encoding="utf-8",
        )
        return path


async def run(program: Path, *arguments: str | Path) -> Outcome:
    """Run a program to its end, with a deadline."""
    process = await asyncio.create_subprocess_exec(
        program,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "NO_COLOR": "1", "MCOLLECTIVE_CERTNAME": ""} | {"HOME": os.environ.get("HOME", "/")},
    )
    try:
        async with asyncio.timeout(DEADLINE):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        output, _ = await process.communicate()
    return Outcome(process.returncode if process.returncode is not None else -1, output.decode(errors="replace"))


async def run_until(program: Path, *arguments: str | Path, wanted: Iterable[str] = ()) -> Outcome:
    """Run a program until it succeeds and writes all that is wanted, with a deadline for all runs together.

    A server subscribes a little after it has connected, and clients wait for answers as long as the wall clock says,
    however busy the machine is: the first request may find nobody.

    Args:
        program: its path.
        arguments: of its command line.
        wanted: texts that it has to write in one run.

    Returns:
        What the run left that went well.
    """
    texts = tuple(wanted)
    outcome: Outcome | None = None
    try:
        async with asyncio.timeout(2 * DEADLINE):
            while True:
                outcome = await run(program, *arguments)
                if outcome.status == 0 and all(text in outcome.output for text in texts):
                    return outcome
    except TimeoutError:
        raise AssertionError(f"it never writes {texts}: {outcome}") from None


async def _contains(path: Path, text: str) -> None:
    async with asyncio.timeout(DEADLINE):
        while not (path.exists() and text in path.read_text(encoding="utf-8", errors="replace")):
            await asyncio.sleep(0.05)  # A file of another program: there is no event to wait for.
