"""What an upgrade takes, and how long a login waits that comes in the middle of it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.building import MeasurementError
from bench.load import Login, connections, fresh_logins
from bench.networks import network
from bench.results import Line, Pairs, Row
from bench.servers import OURS, Server
from bench.workbench import Workbench
from choria_broker.control.client import ControlError, ask_upgrade
from support.minting import ORGANIZATION, hex_of
from support.topology import Setting, nodes

_RATE = 50
_BESIDES = 3.0
"""Seconds of logins besides those that an upgrade takes."""


def measure(bench: Workbench) -> list[Line]:
    """Have the broker go on with the same program, in turns with the same logins and no upgrade."""
    during: list[float] = []
    alone: list[float] = []
    taken: list[float] = []
    signer: dict[str, Setting] = {"network__client_signer_cert": hex_of(ORGANIZATION)}
    (member,) = network(bench.site, lambda: dict.fromkeys(nodes(1), signer), OURS)
    configuration = Path(member.command[-1])
    with member.running() as broker:
        # The logins take twice as long as an upgrade on this machine, whatever that is.
        seconds = max(_asked(configuration) for _ in range(2))
        count = int(_RATE * (2 * seconds + _BESIDES))
        for _ in range(bench.scale.turns + 1):
            logins = fresh_logins(count)
            alone.append(_longest(bench, broker, logins))
            longest, seconds = _upgraded(bench, broker, configuration, fresh_logins(count))
            during.append(longest)
            taken.append(seconds)
    load = f"{_RATE} new TLS connections with client tokens per second"
    spread = f"{min(taken[1:]):.2f} to {max(taken[1:]):.2f} s"
    return [
        Pairs(during[1:], alone[1:]).row(
            f"Longest wait from CONNECT to PONG during an upgrade, {load}", "no upgrade", _ms
        ),
        Row("An upgrade, until the new program serves", f"{statistics.median(taken[1:]):.2f} s", "no peer can", spread),
    ]


def _upgraded(bench: Workbench, broker: Server, configuration: Path, logins: Sequence[Login]) -> tuple[float, float]:
    """Return milliseconds of the longest wait, and seconds of the upgrade.

    Raises:
        MeasurementError: the broker refused, or took longer than the logins did.
    """
    with ThreadPoolExecutor(1) as pool:
        upgrade = pool.submit(_asked, configuration)
        longest = _longest(bench, broker, logins)
        if not upgrade.done():
            raise MeasurementError(f"an upgrade took longer than the {len(logins) / _RATE:.0f} s of logins beside it")
        return longest, upgrade.result()


def _asked(configuration: Path) -> float:
    try:
        return ask_upgrade(configuration).seconds
    except ControlError as error:
        raise MeasurementError(str(error)) from error


def _longest(bench: Workbench, broker: Server, logins: Sequence[Login]) -> float:
    with connections(bench.connector, bench.site, broker, len(logins), logins=logins, rate=_RATE) as outcome:
        return outcome.answer_longest_ms


def _ms(milliseconds: float) -> str:
    return f"{milliseconds:.1f} ms"
