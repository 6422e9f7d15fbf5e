"""Sessions as people read them: sorted, as a table, with what goes over them in a second."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from choria_broker.access.session import BusySession, Departed, Rates, Session
from choria_broker.sessions.documents import Found, Kicked, Refused, Sightings, Top
from choria_broker.settings import durations
from choria_broker.status.words import moment
from choria_broker.wording import in_bytes
from choria_broker.wording import table as columns

_HEADINGS = ("CID", "KIND", "ACCOUNT", "NAME", "ADDRESS", "METHOD", "SINCE", "RTT", "PENDING", "IN/S", "OUT/S")
_OF_BUSY = ("CID", "KIND", "ACCOUNT", "NAME", "ADDRESS", "RTT", "PENDING", "IN/S", "OUT/S", "IN BYTES/S", "OUT BYTES/S")
_OF_TOKENS = ("TOKEN", "ISSUER", "ENDS")
_LONGEST_TOKEN = 36
_SHORT_KEY = 16


def rates(now: Session, seconds: float, before: Session | None = None) -> Rates:
    """Tell how much goes over a session.

    Args:
        now: the session, with its traffic.
        seconds: between both looks, or since it is connected.
        before: an earlier look at it; without one, since it is connected.
    """
    if now.traffic is None or seconds <= 0:
        return Rates()
    earlier = before.traffic if before else None

    def rate(name: str) -> float:
        return float(
            round(max(getattr(now.traffic, name) - (getattr(earlier, name) if earlier else 0), 0) / seconds, 3)
        )

    return Rates(rate("in_msgs"), rate("in_bytes"), rate("out_msgs"), rate("out_bytes"))


def name_of(session: Session) -> str:
    """Name whose a session is, as well as it is known."""
    holder = session.holder
    return holder.identity or holder.caller or session.username


SORTS: Mapping[str, Callable[[Session, Rates], object]] = {
    "cid": lambda session, _: session.connection,
    "name": lambda session, _: (name_of(session).lower(), session.connection),
    "account": lambda session, _: (session.account, session.connection),
    "address": lambda session, _: (session.address, session.connection),
    "since": lambda session, _: (session.since, session.connection),
    "rtt": lambda session, _: (-session.traffic.rtt if session.traffic else 0.0, session.connection),
    "pending": lambda session, _: (-session.traffic.pending if session.traffic else 0, session.connection),
    "rate": lambda session, rates: (-rates.messages, session.connection),
}
"""What connections can be sorted by; what is large comes first for round trip times, pending bytes and rates."""


def table(rows: Iterable[tuple[Session, Rates]]) -> Iterator[str]:
    """Write connections as a table with a heading, line by line; what tokens say only where one has come in by one."""
    rows = tuple(rows)
    lines = [_HEADINGS, *(_cells(session, rate) for session, rate in rows)]
    if any(session.holder.token_id or session.holder.signer for session, _ in rows):
        tokens = (_OF_TOKENS, *(_of_token(session) for session, _ in rows))
        lines = [(*line, *more) for line, more in zip(lines, tokens, strict=True)]
    yield from columns(lines)


def _cells(session: Session, rate: Rates) -> tuple[str, ...]:
    traffic = session.traffic
    return (
        str(session.connection),
        session.kind,
        session.account,
        name_of(session) or "-",
        session.address or "-",
        session.holder.method or "-",
        moment(session.since),
        f"{traffic.rtt * 1000:.1f} ms" if traffic and traffic.rtt else "-",
        str(traffic.pending) if traffic else "-",
        f"{rate.in_msgs:.1f}",
        f"{rate.out_msgs:.1f}",
    )


def _of_token(session: Session) -> tuple[str, ...]:
    holder = session.holder
    token = holder.token_id if len(holder.token_id) <= _LONGEST_TOKEN else f"{holder.token_id[:_LONGEST_TOKEN]}..."
    ends = moment(holder.expires) if holder.expires is not None else "-"
    return token or "-", holder.signer[:_SHORT_KEY] or "-", ends


def busiest(sessions: Iterable[BusySession]) -> Iterator[str]:
    """Write the connections over which most goes as a table with a heading, line by line."""
    yield from columns((_OF_BUSY, *map(_busy, sessions)))


def _busy(session: BusySession) -> tuple[str, ...]:
    traffic, rate = session.traffic, session.rates
    return (
        str(session.connection),
        session.kind,
        session.account,
        name_of(session) or "-",
        session.address or "-",
        f"{traffic.rtt * 1000:.1f} ms" if traffic and traffic.rtt else "-",
        in_bytes(traffic.pending) if traffic else "-",
        f"{rate.in_msgs:.1f}",
        f"{rate.out_msgs:.1f}",
        in_bytes(rate.in_bytes),
        in_bytes(rate.out_bytes),
    )


def totals(found: Top) -> Iterator[str]:
    """Write what goes over all connections together, and who was too slow, line by line."""
    busy = found.busy
    waits = f", {in_bytes(busy.pending)} wait for {busy.waiting} of them" if busy.waiting else ""
    yield (
        f"{found.broker}, {moment(found.time)}: {_count(busy.connections, 'connection')}{waits}, "
        f"{_count(found.subscriptions, 'subscription')}, {in_bytes(found.memory)} of memory"
    )
    yield (
        f"From them {busy.in_msgs:.1f} messages/s, {in_bytes(busy.in_bytes)}/s; "
        f"to them {busy.out_msgs:.1f} messages/s, {in_bytes(busy.out_bytes)}/s; over {busy.seconds:.1f} s"
    )
    latest = f"; last {found.slow[0].who} at {moment(found.slow[0].last)}" if found.slow else ""
    yield f"Slow consumers since the start: {found.slow_consumers}{latest}"


def kicked(result: Kicked) -> Iterator[str]:
    """Write what came of a kick, line by line."""
    for session in result.sessions:
        yield f"  {described(session)}"
    if result.matched > len(result.sessions):
        yield f"  and {result.matched - len(result.sessions)} more"
    if result.dry_run:
        yield f"Dry run: {_count(result.matched, 'session')} would end; they could reconnect."
    else:
        yield f"Ended {result.ended} of {_count(result.matched, 'session')}; they may reconnect."


def found(result: Found) -> Iterator[str]:
    """Write where somebody is or was, line by line."""
    for broker in result.brokers:
        yield from _sightings(broker, result.text)
    asked = [broker.broker for broker in result.brokers]
    if result.limit:
        yield f"Only {asked[0]} was asked: {result.limit}."
    else:
        yield f"Answered: {', '.join(asked)}."
    if result.silent:
        yield f"No answer from {', '.join(result.silent)}."
    if result.missing:
        yield f"Not connected, and so not asked: {_count(result.missing, 'member')} of the cluster."


def lasted(gone: Departed) -> float:
    """Tell how many whole seconds a session was there."""
    return float(max(int(gone.until - gone.since), 0))


def _left(gone: Departed) -> str:
    """Write the end of a session."""
    traffic = gone.traffic
    carried = f", {traffic.in_bytes} bytes from it and {traffic.out_bytes} to it" if traffic else ""
    after = f"after {durations.in_go(lasted(gone))}{carried}"
    return f"left {moment(gone.until)}, {gone.reason}, {after}: {described(gone)}"


def _sightings(broker: Sightings, text: str) -> Iterator[str]:
    since = f" since {moment(broker.since)}" if broker.since else ""
    if broker.nothing:
        unseen = "is not connected" if broker.partly else f"was not seen{since}"
        yield f"{broker.broker}: {text} {unseen}"
    for session in broker.connected:
        yield f"{broker.broker}: connected, {described(session)}"
    for gone in broker.departed:
        yield f"{broker.broker}: {_left(gone)}"
    for refused in broker.refused:
        yield f"{broker.broker}: refused {_refusal(refused)}"
    if broker.left_out:
        yield f"{broker.broker}: and {broker.left_out} more"


def _refusal(refused: Refused) -> str:
    certificate = f" with certificate {refused.common_name}" if refused.common_name else ""
    place = f"from {refused.address}" if refused.address else "from an unknown address"
    remedy = f" Remedy: {refused.remedy}" if refused.remedy else ""
    what = f"{refused.rule}: {refused.reason}{remedy}"
    return f"{moment(refused.time)} {place}{certificate}, cid {refused.connection}, {what}"


def described(session: Session | Departed) -> str:
    """Write one session as a sentence without its end."""
    name = name_of(session)
    place = f" from {session.address}" if session.address else ""
    rule = f", {session.holder.rule}" if session.holder.rule else ""
    who = f" {name}" if name else ""
    token = f", token {session.holder.token_id}" if session.holder.token_id else ""
    signer = f" by {session.holder.signer}" if session.holder.signer else ""
    ends = f", ends {moment(session.holder.expires)}" if session.holder.expires is not None else ""
    return (
        f"{session.kind} cid {session.connection}{who}{place} in account {session.account}{rule}{token}{signer}{ends}, "
        f"connected since {moment(session.since)}"
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def measured(session: Session, now: float, before: Mapping[int, Session] | None, seconds: float) -> Rates:
    """Tell how much goes over a session: between two looks, or since it is connected where there was no other.

    Args:
        session: the session, with its traffic.
        now: when it was looked at, Unix seconds.
        before: an earlier look at all of them, by number.
        seconds: between both looks.
    """
    earlier = before.get(session.connection) if before else None
    return rates(session, seconds if earlier else now - session.since, earlier)


def ordered(
    sessions: Sequence[Session],
    now: float,
    sort: str,
    before: Mapping[int, Session] | None = None,
    seconds: float = 0.0,
) -> list[tuple[Session, Rates]]:
    """Sort connections, each with what goes over it.

    Args:
        sessions: the connections, with their traffic.
        now: when they were listed, Unix seconds.
        sort: one of ``SORTS``.
        before: an earlier look at them, by number; without one, rates are those since they are connected.
        seconds: between both looks.
    """
    rows = [(session, measured(session, now, before, seconds)) for session in sessions]
    key = SORTS[sort]
    return sorted(rows, key=lambda row: key(*row))  # type: ignore[arg-type, return-value] # each sort has one type
