"""The state that a broker is in, and its way to the next one: nothing comes into force elsewhere."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from choria_broker.config.load import Loaded, load, load_files
from choria_broker.config.surroundings.facts import Overrides
from choria_broker.engine.conf.render import Rendered
from choria_broker.errors import ConfigurationError
from choria_broker.host.apart import apart
from choria_broker.host.succession import Succession
from choria_broker.log.structured import component
from choria_broker.reload.desired import Desired, desire
from choria_broker.reload.plan import Plan, plan, setbacks, while_running
from choria_broker.security.signature_memory import SignatureMemory
from choria_broker.settings.broker import Settings
from choria_broker.settings.finding_codes import Severity
from choria_broker.settings.findings import Finding, blocking, known
from choria_broker.settings.served import Served
from choria_broker.streams.store import found_while_running
from choria_broker.values import replace


class Changeable(Protocol):
    """A running engine."""

    async def change(self, settings: Settings, rendered: Rendered) -> None:
        """Take over a configuration as a whole, or raise and leave everything as it was."""
        ...

    async def revoke(self, settings: Settings) -> None:
        """Take over which certificates of other brokers are revoked, and nothing else."""
        ...

    async def answers(self) -> None:
        """Return when it has answered, or raise ``NotReadyError`` when it does not for some time."""
        ...

    def renew(self, generation: int) -> None:
        """Hear that the policy has changed, to this number."""
        ...


class Step(msgspec.Struct, frozen=True):
    """What comes next.

    Attributes:
        state: the state to come.
        plan: how it differs from the one in force.
        findings: what was found; of what there was to say before, only what asks for a look.
        engine: the engine has to take it over: its file, or files that it reads, may have changed.
        ended: sessions that were ended when it was taken, of people who are revoked by now.
    """

    state: Desired
    plan: Plan
    findings: tuple[Finding, ...]
    engine: bool = True
    ended: int = 0


_GENERATION = "generation"
"""Name of the number of the policy where it is left to the next program."""


class InForce:
    """The state in force.

    Attributes:
        state: the state.
        looked_at: files that were read last, whether or not what came of it is in force.
    """

    def __init__(
        self,
        settings: Settings,
        findings: tuple[Finding, ...],
        overrides: Overrides,
        tell: Callable[[Desired], None],
        loaded: Loaded | None = None,
        *,
        succession: Succession | None = None,
    ) -> None:
        """Make the first state; nobody is told yet.

        Args:
            settings: what the broker was told.
            findings: what was found while that was read.
            overrides: choices of the command line with which it was read.
            tell: tells the parts of the broker of a state that comes into force.
            loaded: what the settings were made from.
            succession: has what the program before knew.

        Raises:
            ConfigurationError: something keeps the broker from starting.
        """
        if blocking(findings):
            raise ConfigurationError(findings)
        self._overrides = overrides
        self._signed_by = SignatureMemory(time.monotonic).signed_by
        self._tell = tell
        self._log = component("network")
        left = (succession or Succession()).told(_GENERATION, int) or 0
        self.state = desire(
            settings,
            findings,
            self._signed_by,
            generation=left + 1,
            wanted=loaded.wanted if loaded else None,
            basis=loaded.basis if loaded else None,
        )
        self.looked_at = self.state.files

    def remember(self, succession: Succession) -> None:
        """Tell the next program the number of the policy, which only grows."""
        succession.tell(_GENERATION, self.state.generation)

    async def inherit(self, engine: Changeable) -> None:
        """Have an engine that the program before has left take over this state.

        Raises:
            ReloadError: it refuses, and stays with what it has.
            NotReadyError: it did not answer in time.
            OSError: its file could not be written.
        """
        try:
            await self.restore(engine)
        finally:
            engine.renew(self.state.generation)

    async def restore(self, engine: Changeable) -> None:
        """Have an engine take over the state in force once more; raises as ``inherit`` does."""
        await engine.change(self.state.settings, self.state.engine)

    def enter(self, state: Desired) -> None:
        """Tell everybody of a state; it is in force from now on."""
        self._tell(state)
        self.state = state

    def add(self, findings: tuple[Finding, ...]) -> None:
        """Enter what was found after everything was read."""
        self.enter(replace(self.state, findings=self.state.findings + findings))

    async def prepare(self) -> Step:
        """Read everything again, and tell what comes next.

        Raises:
            ConfigurationError: the broker could not start with what was read, or not with all that it has.
        """
        served = Served.of(self.state.settings)
        loaded = await apart(lambda: _with_store(load(served.source, self._overrides, served=served)))
        # What an operator's store has no more goes, and what hangs on it.
        return self._step(loaded, keeps=served.operator is None)

    async def prepare_files(self, paths: tuple[Path, ...], *, engine: bool) -> Step:
        """Read some of the files that the configuration names, and tell what comes next.

        Args:
            paths: the files; the others stay as they are served, however they are by now.
            engine: the engine reads them too.

        Raises:
            ConfigurationError: as ``prepare``.
        """
        if self.state.basis is None:
            raise ConfigurationError(())
        # Nothing that has a date is among what the engine does not read, and what has expired meanwhile must not keep
        # a key or a revocation from coming into force.
        now = dt.datetime.now(dt.UTC) if engine else None
        basis, served = self.state.basis, Served.of(self.state.settings)
        loaded = await apart(lambda: _with_store(load_files(basis, paths, served, now=now)))
        step = self._step(replace(loaded, wanted=self.state.wanted), keeps=True)
        return replace(step, engine=engine)

    def _step(self, loaded: Loaded, *, keeps: bool) -> Step:
        self.looked_at = loaded.basis.facts.files if loaded.basis else {}
        if loaded.settings is None:
            raise ConfigurationError(while_running(loaded.findings))
        before = self.state.findings
        if worse := setbacks(known(before), loaded.findings, of_files_only=not keeps):
            raise ConfigurationError(worse)
        state = desire(
            loaded.settings,
            loaded.findings,
            self._signed_by,
            generation=self.state.generation + 1,
            wanted=loaded.wanted,
            basis=loaded.basis,
        )
        told = tuple(each for each in loaded.findings if each.severity is not Severity.INFO or each not in before)
        return Step(state, plan(self.state, state), told)

    async def take(self, step: Step, engine: Changeable) -> None:
        """Put the next state in force: first what may object, then what follows.

        Args:
            step: made from the state in force.
            engine: takes over what concerns it.
        """
        if step.engine:
            await engine.change(step.state.settings, step.state.engine)
        elif step.state.settings.network.revocation != self.state.settings.network.revocation:
            await engine.revoke(step.state.settings)
        self.enter(step.state)
        engine.renew(step.state.generation)
        for difference in step.plan.changes:
            self._log.info("This setting is in use now", setting=difference.key, old=difference.old, new=difference.new)
        for path in step.plan.files:
            self._log.info("The content of this file is in use now", file=str(path))
        for difference in step.plan.pending:
            self._log.warning(
                "This setting takes effect after a restart",
                setting=difference.key,
                old=difference.old,
                new=difference.new,
            )


def _with_store(loaded: Loaded) -> Loaded:
    """Add what lies in the store, as a start does."""
    if loaded.settings is None:
        return loaded
    return replace(loaded, findings=loaded.findings + found_while_running(loaded.settings))
