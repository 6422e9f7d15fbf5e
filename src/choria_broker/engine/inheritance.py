"""An engine that stays while the program around it is replaced: left by one program, gone on with by the next."""

from __future__ import annotations

import os
import socket

from choria_broker.engine.held import ENGINE, HeldGate, LeftEngine
from choria_broker.engine.port import Engine
from choria_broker.engine.process import Output
from choria_broker.engine.running import Adopted
from choria_broker.host.succession import Succession, SuccessionError

_GATE, _OUTPUT = "gate", "engine output"
"""Names of what is left to the next program."""


class Inheritance:
    """What one program has of an engine from the program before, and leaves of it to the next one.

    Attributes:
        left: what the program before has told of it; None when there was none.
        begun: what came of a line of its log that has no end yet, once it is left.
    """

    def __init__(self, succession: Succession) -> None:
        """Look what the program before has left.

        Args:
            succession: has that, and takes what is left.
        """
        self._succession = succession
        self.left = succession.told(ENGINE, LeftEngine)
        self.begun = b""
        self._held: HeldGate | None = None
        self._gate: socket.socket | None = None

    async def hold(self, engine: Engine, deadline: float) -> tuple[HeldGate, socket.socket]:
        """Stop answering its questions; as ``EngineLife.hold``, which has an engine that runs."""
        self._held = await engine.hold(deadline)
        self._gate = engine.gate_socket()
        return self._held, self._gate

    def go_on(self) -> None:
        """Forget that the gate was held."""
        if self._gate is not None:
            self._gate.close()
        self._held = self._gate = None

    def tell(self, succession: Succession, left: LeftEngine) -> None:
        """Tell the next program of the engine, and of its gate when that is held.

        Args:
            succession: takes it.
            left: what has to be known of the engine.
        """
        succession.tell(ENGINE, left)
        if self._held:
            succession.tell(_GATE, self._held)

    def adopted(self, left: LeftEngine, held: HeldGate | None) -> Adopted:
        """Return the engine that the program before has left.

        Args:
            left: what it has told of it.
            held: where whoever answered its questions in between has stopped.

        Raises:
            SuccessionError: it is not complete.
        """
        succession = self._succession
        output, sock = succession.inherited(_OUTPUT), succession.inherited_socket(_GATE)
        held = held or succession.told(_GATE, HeldGate)
        if output is None or sock is None or held is None:
            raise SuccessionError("the program before has not left its engine")
        sock.setblocking(False)  # noqa: FBT003 - the socket's own interface
        return Adopted(left.pid, Output(output, left.begun), sock, held)

    def leave(self, engine: Engine) -> None:
        """Leave the engine to the next program.

        Raises:
            SuccessionError: its gate was not held.
        """
        output = engine.output
        if self._gate is None or output is None:
            raise SuccessionError("the engine was to be left, but its gate was not held")
        with self._gate:
            self._succession.bequeath(_GATE, self._gate.fileno())
        self._succession.bequeath(_OUTPUT, output.pipe)
        os.close(output.pipe)
        self.begun = output.begun
