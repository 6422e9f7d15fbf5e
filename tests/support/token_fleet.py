"""Real Choria programs that hold tokens: everything signed and issued by ``choria jwt``."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

from choria_broker.audit.decided import Decision
from choria_broker.broker import NetworkBroker
from support.fleet import Outcome, run, run_until

DEADLINE = 60.0


@dataclasses.dataclass(frozen=True, slots=True)
class TokenFleet:
    """Makes keys, tokens and configurations in one folder.

    Attributes:
        program: path of the choria program.
        folder: where the files go.
        ca: CA that signed the broker's certificate.
        trust: lines of a configuration that say whose tokens programs believe.
    """

    program: Path
    folder: Path
    ca: Path
    trust: str = ""

    async def keys(self, name: str) -> str:
        """Make the keys NAME.seed and NAME.pub and return the public one."""
        await self.jwt("keys", self.folder / f"{name}.seed", self.folder / f"{name}.pub")
        return (self.folder / f"{name}.pub").read_text(encoding="utf-8").strip()

    async def client_token(self, name: str, caller: str, signer: str, *flags: str) -> None:
        """Issue NAME.jwt to a caller whose keys are NAME, signed with the seed of another name."""
        public = await self.keys(name)
        seed = self.folder / f"{signer}.seed"
        await self.jwt("client", self.folder / f"{name}.jwt", caller, seed, "--public-key", public, *flags)

    async def server_token(self, name: str, signer: str, *flags: str) -> None:
        """Issue NAME.jwt to the server of that name, signed with the seed of another name."""
        public = await self.keys(name)
        seed = self.folder / f"{signer}.seed"
        await self.jwt("server", self.folder / f"{name}.jwt", name, public, seed, *flags)

    async def jwt(self, *arguments: str | Path) -> None:
        """Run ``choria jwt``."""
        outcome = await run(self.program, "jwt", *arguments)
        assert outcome.status == 0, outcome.output

    async def choria(self, *arguments: str | Path) -> Outcome:
        """Run a choria command to its end."""
        return await run(self.program, *arguments)

    async def choria_until(self, *arguments: str | Path, wanted: Iterable[str] = ()) -> Outcome:
        """Run a choria command until it succeeds and writes all that is wanted; see ``fleet.run_until``."""
        return await run_until(self.program, *arguments, wanted=wanted)

    def holder(self, name: str, port: int, *more: str, collective: str = "mcollective") -> Path:
        """Write the configuration of a program that holds NAME.jwt, and return its path."""
        return self.configuration(
            name,
            f"collectives = {collective}",
            f"main_collective = {collective}",
            f"plugin.choria.middleware_hosts = nats://127.0.0.1:{port}",
            "plugin.security.provider = choria",
            f"plugin.security.choria.ca = {self.ca}",
            f"plugin.security.choria.token_file = {self.folder / name}.jwt",
            f"plugin.security.choria.seed_file = {self.folder / name}.seed",
            self.trust,
            *more,
        )

    def configuration(self, name: str, *lines: str) -> Path:
        """Write a configuration, and return its path."""
        path = self.folder / f"{name}.conf"
        always = (f"identity = {name}", "loglevel = warn", "plugin.choria.use_srv = false", f"libdir = {self.folder}")
        path.write_text("\n".join((*always, *lines, "")), encoding="utf-8")
        return path

    def server_lines(self) -> tuple[str, ...]:
        """Write what only servers need."""
        facts, classes = self.folder / "facts.yaml", self.folder / "classes.txt"
        facts.write_text("{}\n", encoding="utf-8")
        classes.write_text("role\n", encoding="utf-8")
        return (
            "rpcauthorization = 0",
            "factsource = yaml",
            f"plugin.yaml = {facts}",
            f"classesfile = {classes}",
            "plugin.choria.server.provision = false",
        )

    @contextlib.asynccontextmanager
    async def server(self, configuration: Path) -> AsyncIterator[None]:
        """Run a Choria server as long as the context lasts."""
        process = await asyncio.create_subprocess_exec(
            self.program,
            "server",
            "run",
            "--config",
            configuration,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def decided(broker: NetworkBroker, wanted: Callable[[Decision], bool]) -> Decision:
    """Wait until the broker has made a decision of a kind, and return it."""
    async with asyncio.timeout(DEADLINE):
        while True:
            for decision in broker.audit.recent:
                if wanted(decision):
                    return decision
            await asyncio.sleep(0.05)  # Another program connects: there is no event to wait for.
