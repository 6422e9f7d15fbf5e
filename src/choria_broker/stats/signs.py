"""From what the parts of a broker know to the signs its health is told by."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from choria_broker.config.findings import Finding, Severity
from choria_broker.config.settings import Settings
from choria_broker.stats.certificates import Certificate, Role
from choria_broker.stats.health import Signs, Validity
from choria_broker.stats.links import Link
from choria_broker.stats.readings import Readings
from choria_broker.streams.report import Report


@dataclasses.dataclass(frozen=True, slots=True)
class Observations:
    """What is known at one moment.

    Attributes:
        engine: the engine runs and, where it is asked, answers.
        readings: what the engine's pages told, None while nobody reads them.
        links: remotes of the configuration.
        certificates: those the broker works with.
        streams: the standard streams.
        streams_off: why the engine turned Choria Streams off, empty when it did not say.
    """

    engine: bool
    readings: Readings | None = None
    links: Sequence[Link] = ()
    certificates: Sequence[Certificate] = ()
    streams: Sequence[Report] = ()
    streams_off: str = ""


def signs(settings: Settings, findings: Iterable[Finding], observed: Observations) -> Signs:
    """Make the signs.

    What only the engine's pages tell counts as well while nobody reads them.

    Args:
        settings: what the broker was told.
        findings: what was found while the settings were read.
        observed: what is known.
    """
    readings = observed.readings
    return Signs(
        engine=observed.engine,
        streams_problem=_streams_problem(settings, observed),
        peers_configured=len(settings.network.cluster.routes) if readings else 0,
        peers_connected=readings.server.remotes if readings else 0,
        remotes_down=tuple(f"{link.kind} {link.name}" for link in observed.links if not link.connected),
        streams_amiss=tuple(
            f"stream {each.stream} of account {each.account} is {each.state}: {each.reason}"
            for each in observed.streams
            if each.reason
        ),
        certificates=validities(observed.certificates),
        features_left_out=sum(finding.severity is Severity.SKIP for finding in findings),
    )


def validities(certificates: Sequence[Certificate]) -> tuple[Validity, ...]:
    """Tell which certificates are vital: all of the broker's own chain, and the last of its CAs to expire."""
    last = max((each.expires for each in certificates if each.source.role is Role.CA), default=0.0)
    return tuple(
        Validity(
            str(each.source.file),
            each.expires,
            each.source.role is Role.BROKER or (each.source.role is Role.CA and each.expires == last),
        )
        for each in certificates
    )


def _streams_problem(settings: Settings, observed: Observations) -> str:
    streams = observed.readings.streams if observed.readings else None
    if not settings.network.streams.store or streams is None or streams.enabled:
        return ""
    return observed.streams_off or "the engine has turned them off, and its log says why"
