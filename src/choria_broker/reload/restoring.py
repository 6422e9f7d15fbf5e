"""After a reload of which the engine did not say in time what came of it: it gets what is in force once more."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from choria_broker.errors import BrokerError, NotReadyError
from choria_broker.log.structured import component
from choria_broker.reload.in_force import Changeable, InForce

AGAIN = 1.0
"""Seconds until the engine is asked again whether it answers."""

_log = component("broker")


class Restoring:
    """Sees to it that the engine has what reports and status say, also when it stood still in the middle of a change.

    What it comes to too late it lets be. But it may have begun in time, and end when nobody waits any more.

    Attributes:
        owed: what the engine has is not known.
    """

    def __init__(self, in_force: InForce, engine: Changeable) -> None:
        """The engine has what is in force.

        Args:
            in_force: the state in force.
            engine: that takes it over.
        """
        self._in_force = in_force
        self._engine = engine
        self._told = ""
        self.owed = False

    def reloaded(self, error: Exception | None, *, whole: bool) -> None:
        """Hear what came of a reload.

        Args:
            error: why nothing has changed, None when it has.
            whole: the engine was given all that it has.
        """
        if isinstance(error, NotReadyError):
            self.owed = True
        elif error is None and whole:
            self.owed = False

    async def attempt(self, turn: AbstractAsyncContextManager[object]) -> None:
        """Give the engine what is in force, if it answers; otherwise it is still owed.

        Args:
            turn: entered for the time in which nobody else may change it.
        """
        try:
            await self._engine.answers()
            async with turn:
                if self.owed:
                    await self._in_force.restore(self._engine)
        except NotReadyError:
            return
        except (BrokerError, OSError) as error:
            if str(error) != self._told:
                self._told = str(error)
                _log.error("Could not give the engine its previous configuration, trying again", why=self._told)
            return
        self.owed, self._told = False, ""
        _log.info("The engine answers again, and has its configuration from before the reload")
