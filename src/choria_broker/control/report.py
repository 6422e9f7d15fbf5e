"""Parts of the status of a broker, as the control socket and the status page show them; none holds a secret."""

from __future__ import annotations

import msgspec


class HealthReport(msgspec.Struct, frozen=True):
    """How the broker is altogether.

    Attributes:
        condition: ``ok``, ``degraded`` or ``failing``.
        sentence: the same for people.
        reasons: everything that is amiss, the worst first.
    """

    condition: str = "ok"
    sentence: str = ""
    reasons: tuple[str, ...] = ()


class EngineReport(msgspec.Struct, frozen=True):
    """The engine's process.

    Attributes:
        pid: process id, 0 while there is none.
        uptime: seconds since it started.
        answers: its pages can be read; None while statistics are off, for then nobody asks.
    """

    pid: int = 0
    uptime: float = 0.0
    answers: bool | None = None


class Peers(msgspec.Struct, frozen=True):
    """The other members of the cluster.

    Attributes:
        configured: ``host:port`` of those the settings name.
        connected: identities of those that are connected; None while statistics are off.
    """

    configured: tuple[str, ...] = ()
    connected: tuple[str, ...] | None = None


class Remote(msgspec.Struct, frozen=True):
    """A gateway or leafnode remote of the settings.

    Attributes:
        kind: ``gateway`` or ``leafnode``.
        name: its name in the settings.
        connected: a connection to it stands; None while statistics are off.
        rtt_ms: round trip time in milliseconds; None while it is not known.
    """

    kind: str
    name: str
    connected: bool | None = None
    rtt_ms: float | None = None


class StoreReport(msgspec.Struct, frozen=True):
    """What Choria Streams hold on this broker.

    Attributes:
        enabled: the engine has them on.
        streams, consumers, messages: how many.
        bytes_used, bytes_most: room on disk that is taken, and that may be.
    """

    enabled: bool
    streams: int
    consumers: int
    messages: int
    bytes_used: int
    bytes_most: int


class CertificateReport(msgspec.Struct, frozen=True):
    """A certificate the broker works with.

    Attributes:
        role: what it is for: ``broker``, ``ca``, ``signer``, ``gateway``, ``leafnode`` and so on.
        file: where it is.
        subject: whose it is, in the notation of RFC 4514.
        expires: end of its validity, Unix seconds.
        days_left: days until then, negative when it has expired.
    """

    role: str
    file: str
    subject: str
    expires: float
    days_left: float


class LeftOut(msgspec.Struct, frozen=True):
    """A feature that the configuration keeps out.

    Attributes:
        code: class of the problem.
        key: the setting, empty when there is no single one.
        place: file and line.
        problem: what is wrong.
        remedy: what to do.
    """

    code: str
    key: str
    place: str
    problem: str
    remedy: str
