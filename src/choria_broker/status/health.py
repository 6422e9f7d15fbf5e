"""How a broker is, in one word, one sentence and the reasons."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from choria_broker.settings.durations import DAY
from choria_broker.status.reasons import Reason

_EXPIRES_SOON = 14.0


class Condition(enum.StrEnum):
    """The one word."""

    OK = "ok"
    """Everything the settings ask for is there."""
    DEGRADED = "degraded"
    """The broker serves its clients, but something needs an operator's attention."""
    DRAINING = "draining"
    """The broker was told to move its connections elsewhere and takes no new ones."""
    FAILING = "failing"
    """The broker cannot do its work."""


_BEGINNINGS = {Condition.FAILING: "The broker is failing:", Condition.DRAINING: "The broker is draining:"}


class Health(msgspec.Struct, frozen=True):
    """What was found.

    Attributes:
        condition: the one word.
        reasons: what needs attention, the worst first, each a sentence without its full stop.
        progress: the one of them that only tells how far something is that was asked for; empty without one.
        kinds: of which kind each of the reasons is.
    """

    condition: Condition
    reasons: tuple[str, ...] = ()
    progress: str = ""
    kinds: tuple[Reason, ...] = ()

    @property
    def causes(self) -> tuple[str, ...]:
        """The reasons that somebody should look into."""
        return tuple(each for each in self.reasons if each != self.progress)

    @property
    def sentence(self) -> str:
        """The one sentence."""
        if not self.reasons:
            return "All is well."
        begin = _BEGINNINGS.get(self.condition, "The broker works but needs attention:")
        more = len(self.reasons) - 1
        return f"{begin} {self.reasons[0]}{f', and {more} more' if more else ''}."


class Validity(msgspec.Struct, frozen=True):
    """How long a certificate is good.

    Attributes:
        file: where it is.
        end: when it expires, Unix seconds.
        vital: nobody can connect without it.
    """

    file: str
    end: float
    vital: bool = True


class Symptoms(msgspec.Struct, frozen=True):
    """What health is told by.

    Attributes:
        engine: the engine runs and, where it is asked, answers.
        streams_problem: why there are no Choria Streams although there should be, empty otherwise.
        peers_configured: other members of the cluster.
        peers_connected: members that are connected.
        links_down: members, gateways and leafnode remotes that are known by name and not connected, each a sentence
            without its full stop.
        members_down: how many of those are members.
        streams_degraded: standard streams that are not as they should be, each a sentence without its full stop.
        certificates: those the broker works with.
        features_left_out: how many features their configuration keeps out.
        crls_overdue: lists of revoked certificates that are past their next update, each ``of ISSUER in FILE``.
        reload_refused: why the last reload changed nothing, empty when it was not refused.
        files_not_used: what is wrong with files that were changed and cannot be used.
        draining: how far a drain is, empty without one.
        nearly_used: what there is little left of, each a sentence without its full stop.
        keys_short: what key processes lack, a sentence without its full stop; empty when all are there.
        provisioning_stalled: nodes wait for provisioning for too long, and nobody provisions them.
        companions_ailing: what is wrong with adapters and the federation broker, each a sentence without its full stop.
        nothing_works: all of them are, and there is no network broker beside them.
    """

    engine: bool
    streams_problem: str = ""
    peers_configured: int = 0
    peers_connected: int = 0
    links_down: Sequence[str] = ()
    members_down: int = 0
    streams_degraded: Sequence[str] = ()
    certificates: Sequence[Validity] = ()
    features_left_out: int = 0
    crls_overdue: Sequence[str] = ()
    reload_refused: str = ""
    files_not_used: Sequence[str] = ()
    draining: str = ""
    keys_short: str = ""
    provisioning_stalled: bool = False
    nearly_used: Sequence[str] = ()
    companions_ailing: Sequence[str] = ()
    nothing_works: bool = False


def assess(symptoms: Symptoms, now: float) -> Health:
    """Judge the symptoms.

    Only what keeps the broker from serving anybody makes it ``failing``: a broker that lost its cluster or a remote is
    of use to its own clients, and taking it out of service would not bring the others back. One that drains is sound,
    and is to be left alone by whoever spreads connections.

    Args:
        symptoms: what was observed.
        now: Unix seconds.
    """
    if not symptoms.engine:
        return Health(Condition.FAILING, ("the engine does not answer",), kinds=(Reason.ENGINE_SILENT,))
    failing = tuple(_failing(symptoms, now))
    draining = ((symptoms.draining, Reason.DRAINING),) if symptoms.draining else ()
    found: dict[str, Reason] = {}
    for text, kind in (*failing, *draining, *_degraded(symptoms, now)):
        found.setdefault(text, kind)
    reasons, kinds = tuple(found), tuple(found.values())
    if failing:
        return Health(Condition.FAILING, reasons, symptoms.draining, kinds)
    if draining:
        return Health(Condition.DRAINING, reasons, symptoms.draining, kinds)
    return Health(Condition.DEGRADED if reasons else Condition.OK, reasons, kinds=kinds)


def days_left(end: float, now: float) -> float:
    """Return the days until a moment, rounded to tenths; negative when it has passed."""
    return round((end - now) / DAY, 1) + 0.0  # No minus before a zero.


_Told = Iterator[tuple[str, Reason]]


def _failing(symptoms: Symptoms, now: float) -> _Told:
    if symptoms.streams_problem:
        yield f"Choria Streams are not available: {symptoms.streams_problem}", Reason.STREAMS_OFF
    for each in symptoms.certificates:
        if each.vital and each.end <= now:
            yield _expired(each), Reason.CERTIFICATE_EXPIRED
    if symptoms.nothing_works:
        yield from _all(symptoms.companions_ailing, Reason.COMPANION_AILING)


def _degraded(symptoms: Symptoms, now: float) -> _Told:
    yield from _all(symptoms.links_down, Reason.LINK_DOWN)
    yield from _all(_peers(symptoms), Reason.MEMBERS_MISSING)
    yield from _all(symptoms.streams_degraded, Reason.STREAM_DEGRADED)
    yield from _all(symptoms.companions_ailing, Reason.COMPANION_AILING)
    yield from _all(symptoms.nearly_used, Reason.NEARLY_USED)
    if symptoms.keys_short:
        yield symptoms.keys_short, Reason.KEYS_SHORT
    if symptoms.provisioning_stalled:
        yield (
            "nodes have waited for provisioning for five minutes or more, and no provisioner is connected",
            Reason.PROVISIONING_STALLED,
        )
    if symptoms.features_left_out:
        features = "1 feature is" if symptoms.features_left_out == 1 else f"{symptoms.features_left_out} features are"
        yield f"{features} not in use because of the configuration", Reason.FEATURES_LEFT_OUT
    for crl in symptoms.crls_overdue:
        yield (
            f"the list of revoked certificates {crl} is out of date; have the CA write a new one, and copy it there",
            Reason.CRL_OVERDUE,
        )
    if symptoms.reload_refused:
        yield f"the last reload was refused: {symptoms.reload_refused.removesuffix('.')}", Reason.RELOAD_REFUSED
    for why in symptoms.files_not_used:
        yield f"a changed file is not in use: {why.removesuffix('.')}", Reason.FILE_NOT_USED
    for each in symptoms.certificates:
        left = (each.end - now) / DAY
        if left <= 0 and not each.vital:
            yield _expired(each), Reason.CERTIFICATE_EXPIRED
        elif 0 < left <= _EXPIRES_SOON:
            yield f"the certificate in {each.file} expires {_within(left)}", Reason.CERTIFICATE_EXPIRES


def _all(sentences: Iterable[str], kind: Reason) -> _Told:
    return ((each, kind) for each in sentences)


def _peers(symptoms: Symptoms) -> Iterable[str]:
    """Tell of members that are missing where it is not known which they are."""
    wanted, there = symptoms.peers_configured, symptoms.peers_connected
    if wanted - there <= symptoms.members_down:
        return
    if wanted == 1:
        yield "the other member of the cluster is not connected"
    elif there:
        yield f"only {there} of the {wanted} other members of the cluster {'is' if there == 1 else 'are'} connected"
    else:
        yield f"none of the {wanted} other members of the cluster is connected"


def _expired(certificate: Validity) -> str:
    return f"the certificate in {certificate.file} has expired"


def _within(days: float) -> str:
    whole = int(days)
    if not whole:
        return "in less than a day"
    return "in 1 day" if whole == 1 else f"in {whole} days"
