"""What becomes of sessions after a reload whose policy would decide them otherwise."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager

from choria_broker.access.afterwards import Logins, differs
from choria_broker.access.policy import Policy
from choria_broker.access.session import Session
from choria_broker.background import beside, happened
from choria_broker.errors import BrokerError
from choria_broker.host.succession import Succession
from choria_broker.log.structured import component
from choria_broker.sessions.desk import Engine
from choria_broker.settings.network import Network, ReloadSessions

SPREAD = 10.0
"""Seconds over which sessions are ended."""

REASON = "the policy after a reload decides about it differently"
_PORTIONS = 20
_MOST_LOGINS = 100
_LEFT = "followup"


class Followup:
    """Ends sessions after reloads, where the setting says so.

    Args:
        engine: has the sessions.
        spread: seconds over which they are ended.
    """

    def __init__(self, engine: Engine, spread: float = SPREAD) -> None:
        """Nothing is in force yet."""
        self._engine = engine
        self._spread = spread
        self._policy: Policy | None = None
        self._network = Network()
        self._logins: list[Logins] = []
        self._changed = asyncio.Event()
        self._log = component("network")

    def remember(self, succession: Succession) -> None:
        """Tell the next program by which logins sessions may have come in."""
        succession.tell(_LEFT, self._logins)

    def recall(self, succession: Succession) -> None:
        """Know the logins of the policies of the program before."""
        self._logins = [*(succession.told(_LEFT, list[Logins]) or ()), *self._logins][-_MOST_LOGINS:]

    def apply(self, policy: Policy, generation: int, network: Network) -> None:
        """Hear of a policy that comes into force.

        Args:
            policy: the policy.
            generation: its number.
            network: settings, which say what becomes of sessions that it would decide otherwise.
        """
        logins = Logins.of(policy, generation)
        known = self._logins[-1] if self._logins else None
        if known is None or (known.system, known.provisioner) != (logins.system, logins.provisioner):
            self._logins = [*self._logins[-_MOST_LOGINS:], logins]
        self._policy, self._network = policy, network

    def reloaded(self) -> None:
        """Look at the sessions: a reload is through, or an upgrade, in the engine too."""
        self._changed.set()

    def served(self) -> AbstractAsyncContextManager[object]:
        """Follow reloads, as long as the context lasts."""
        return beside(self._serve(), "sessions after reloads")

    async def _serve(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._follow()
            except BrokerError as error:
                self._log.error("Could not check the sessions after a reload", why=str(error))

    async def _follow(self) -> None:
        """End who would get something else, in portions; a newer reload begins anew."""
        if self._network.reload_sessions is not ReloadSessions.END:
            return
        sessions = await self._engine.sessions()
        numbers = [each.connection for each in sessions if self._differs(each)]
        if not numbers:
            return
        self._log.info(
            "Ending sessions that the new policy would decide differently",
            sessions=len(numbers),
            of=len(sessions),
            seconds=self._spread,
        )
        ended, portions = 0, min(_PORTIONS, len(numbers))
        for portion in range(portions):
            ended += await self._engine.end_sessions(numbers[portion::portions], REASON)
            if await happened(self._changed, self._spread / portions):
                break
        self._log.info("Sessions were ended after the reload", sessions=ended)

    def _differs(self, session: Session) -> bool:
        return self._policy is not None and differs(session, self._policy, self._logins)
