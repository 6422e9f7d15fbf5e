"""From what a trial found to what this machine takes."""

from __future__ import annotations

import msgspec


class Sample(msgspec.Struct, frozen=True):
    """What a trial found; times in seconds of CPU, all logins together.

    Attributes:
        logins: new connections that were let in.
        cores: of this machine, as far as this process may use them.
        total: of all processes of the broker.
        python: of the broker's own process, which uses one core at most.
    """

    logins: int
    cores: int
    total: float
    python: float


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine takes while it does nothing else.

    Attributes:
        certificate: file with the broker's certificate.
        key: kind and length of its key, in words.
        logins: how many logins were measured.
        cores: that it uses.
        cpu_ms: milliseconds of CPU of a login, all processes.
        python_ms: of these, of the process that uses one core at most.
        per_second: logins a second.
        bound: what keeps it from more: ``cores``, or ``process``, the one that uses one core at most.
        nodes: that were asked about.
        seconds: until so many are back after a restart, when all come at once.
    """

    certificate: str
    key: str
    logins: int
    cores: int
    cpu_ms: float
    python_ms: float
    per_second: float
    bound: str
    nodes: int
    seconds: float


def estimate(sample: Sample, certificate: str, key: str, nodes: int) -> Capacity:
    """Tell what a machine takes.

    All cores work at logins, each of which takes so much CPU, but one process works on one core only.

    Args:
        sample: what was measured; at least one login.
        certificate: file with the certificate.
        key: kind and length of its key, in words.
        nodes: how many are to come back.
    """
    each, alone = sample.total / sample.logins, sample.python / sample.logins
    cores, process = sample.cores / each, 1 / alone if alone else float("inf")
    rate = min(cores, process)
    return Capacity(
        certificate=certificate,
        key=key,
        logins=sample.logins,
        cores=sample.cores,
        cpu_ms=round(each * 1000, 2),
        python_ms=round(alone * 1000, 2),
        per_second=round(rate, 1),
        bound="cores" if cores <= process else "process",
        nodes=nodes,
        seconds=round(nodes / rate, 1),
    )
