"""Parts of the status of a broker, as the control socket and the status page show them; none holds a secret."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from choria_broker.audit.denials import Noted
from choria_broker.audit.throttle import Refused
from choria_broker.companions.reports import CompanionReport
from choria_broker.stats.headroom import Headroom
from choria_broker.stats.link_troubles import LinkTrouble
from choria_broker.stats.links import Link
from choria_broker.status.changes import HealthChange
from choria_broker.status.drains import DrainReport
from choria_broker.status.reloads import FileProblem, PendingRestart, ReloadReport
from choria_broker.status.revocation import RevocationReport
from choria_broker.status.streams_now import StreamsNow
from choria_broker.streams.report import Report


class ProvisioningReport(msgspec.Struct, frozen=True):
    """Who waits for provisioning.

    Attributes:
        waiting: how many nodes wait on this broker.
        oldest: since when the first of them waits, Unix seconds; 0 without any.
        provisioners: how many provisioners are connected to this broker.
        elsewhere: there is one on another broker, as far as these were asked: they are when nodes have waited for a
            minute.
        silent: others were asked, and not all of them could be.
        stalled: nodes have waited for five minutes or more, and there is no provisioner.
    """

    waiting: int
    oldest: float
    provisioners: int
    elsewhere: bool = False
    silent: bool = False
    stalled: bool = False


class HealthReport(msgspec.Struct, frozen=True):
    """How the broker is altogether.

    Attributes:
        condition: ``ok``, ``degraded`` or ``failing``.
        sentence: the same for people.
        reasons: everything that needs attention, the worst first.
        kinds: the stable name of each reason's kind.
    """

    condition: str = "ok"
    sentence: str = ""
    reasons: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()


class EngineReport(msgspec.Struct, frozen=True):
    """The engine's process.

    Attributes:
        pid: process id, 0 while there is none.
        uptime: seconds since it started.
        answers: its pages can be read; None before they were read for the first time.
    """

    pid: int = 0
    uptime: float = 0.0
    answers: bool | None = None


class KeyProcessesReport(msgspec.Struct, frozen=True):
    """The processes that hold private keys of TLS, and sign for the engine.

    Attributes:
        running: those that sign.
        wanted: how many there should be; 0 when the engine has all keys itself.
        restarts: how often one has ended and was started again.
        signed: signatures that they made.
        failed: handshakes that failed for want of a signature.
    """

    running: int = 0
    wanted: int = 0
    restarts: int = 0
    signed: int = 0
    failed: int = 0


class LoginsReport(msgspec.Struct, frozen=True):
    """Clients that wait for their turn when more come at once than this machine can log in.

    Attributes:
        waiting: how many do now.
        at_once: logins that are worked on at once, at most; 0 as long as nobody had to wait.
        served: clients that were let in after they had waited, since the start.
        came_again: those that had gone, or were let go, before it was their turn.
    """

    waiting: int = 0
    at_once: int = 0
    served: int = 0
    came_again: int = 0


class Peers(msgspec.Struct, frozen=True):
    """The other members of the cluster.

    Attributes:
        configured: ``host:port`` of those the settings name, this broker left out.
        connected: identities of those that are connected; None before that was read for the first time.
    """

    configured: tuple[str, ...] = ()
    connected: tuple[str, ...] | None = None


class StoreReport(msgspec.Struct, frozen=True):
    """What Choria Streams hold on this broker.

    Attributes:
        enabled: the engine has them on.
        streams, consumers, messages: how many.
        bytes_used, bytes_most: room on disk that is taken, and that may be.
        bytes_free: what is left on that disk, None when it is not known.
        path: where it is.
    """

    enabled: bool
    streams: int
    consumers: int
    messages: int
    bytes_used: int
    bytes_most: int
    bytes_free: int | None = None
    path: str = ""


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


class AuthorityReport(msgspec.Struct, frozen=True):
    """A CA certificate, and what hangs on it.

    Attributes:
        subject: whose it is, in the notation of RFC 4514.
        fingerprint: SHA-256 of it as lower-case hex.
        expires: end of its validity, Unix seconds.
        days_left: days until then, negative when it has expired.
        files: the CA files that have it; without any, new connections that show a certificate of it are refused.
        connections: how many there are, by kind: ``client``, ``websocket``, ``leafnode``, ``cluster`` and ``gateway``
            for those that others made, ``to_cluster``, ``to_gateway`` and ``to_leafnode`` for this broker's own.
    """

    subject: str
    fingerprint: str
    expires: float
    days_left: float
    files: tuple[str, ...]
    connections: Mapping[str, int]


class AuthoritiesReport(msgspec.Struct, frozen=True):
    """Connections by the CA that vouches for the other side.

    Attributes:
        authorities: the CAs of the files, and others on which connections still hang.
        without_certificate: connections without a certificate, by kind. With which CA those verify the broker is not
            known to the broker.
        clear_text: connections without TLS, by kind.
        time: when they were counted, Unix seconds.
    """

    authorities: tuple[AuthorityReport, ...] = ()
    without_certificate: Mapping[str, int] = {}
    clear_text: Mapping[str, int] = {}
    time: float = 0.0


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


class RecentDecision(msgspec.Struct, frozen=True):
    """One of the latest decisions, in short.

    Attributes:
        time: when, Unix seconds.
        connection: the engine's number for the connection; ``explain --connection`` tells more about it.
        address, kind, allowed, rule, account, username, common_name, serial, fingerprint: as decided.
    """

    time: float
    connection: int
    address: str
    kind: str
    allowed: bool
    rule: str
    account: str
    username: str
    common_name: str = ""
    serial: str = ""
    fingerprint: str = ""


class StreamTrouble(msgspec.Struct, frozen=True):
    """Something that is wrong with the store of Choria Streams.

    Attributes:
        trouble: class of trouble, as metrics name it.
        account, stream: which stream, empty when it is not known or all are concerned.
        words: what is wrong.
        remedy: what to do.
        times: how often the engine told of it.
        last: when last, Unix seconds.
    """

    trouble: str
    account: str
    stream: str
    words: str
    remedy: str
    times: int
    last: float


class UpgradeBegun(msgspec.Struct, frozen=True):
    """An upgrade that nothing stands in the way of any more.

    Attributes:
        before, after: versions of the program.
        begun: when it was asked for, Unix seconds.
        pid: of the broker, which stays; 0 when the broker does not tell.
    """

    before: str
    after: str
    begun: float
    pid: int = 0


class UpgradeReport(msgspec.Struct, frozen=True, kw_only=True):
    """The last upgrade of the broker's program.

    Attributes:
        time: when it was done, Unix seconds.
        by: who asked for it.
        before, after: versions of the program.
        begun: when it was asked for, Unix seconds.
        seconds: how long it took.
        engine: the engine is older than the installed one, which only a restart takes over.
        problem: why the version before goes on after all, one sentence without its full stop; empty when it does not.
    """

    time: float
    by: str
    before: str
    after: str
    begun: float
    seconds: float
    engine: bool = False
    problem: str = ""


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """How a broker is, as everybody may know who may read its statistics.

    Attributes:
        identity: its name.
        health: how it is altogether.
        version: of the broker.
        nats: version of the nats-server library in its engine.
        pid: process id.
        source: configuration file.
        since: when it started, Unix seconds.
        ports: ports the engine listens on, by listener.
        accepted, refused: decisions since the start by the rule that made them.
        engine_refused: connections that the engine refused without a decision of the broker, by cause.
        unverified_account: account of clients that present nothing, empty when they are refused.
        operator: in operator mode the operator whose accounts decide on connections in place of this broker.
        accounts: names of the operator's accounts.
        streams: what became of the standard streams when they were set up; empty when Choria Streams are off.
        streams_now: how streams are now; None while they are off.
        stream_troubles: what is wrong with their store.
        store: what they hold; None while they are off.
        engine: the engine's process.
        key_processes: the processes that hold private keys of TLS.
        logins: clients that wait for their turn.
        peers: the other members of the cluster.
        links: to other members of the cluster, gateways and leafnodes, with those that the settings do not ask for at
            the end, and of these no more than 100.
        link_troubles: why links ended, or do not come about, the latest first.
        certificates: those it works with.
        authorities: connections by CA; None before they were counted.
        revocation: what is revoked.
        pending_restart: settings that were changed and come into force at the next start.
        left_out: features that the configuration keeps out.
        upgrade: the last upgrade of the program, None before the first.
        reload: what came of the last reload, None before the first.
        file_problems: files that were changed and cannot be used.
        drain: whether connections are moved elsewhere, and how far that is.
        health_since: since when health has its condition, Unix seconds; 0 in the first moments.
        health_changes: the latest changes of health, the latest first.
        last_success: when the last reload ended that was not refused, or the broker was started, Unix seconds.
        provisioning: who waits for provisioning; None on a broker that has none.
        expiring_tokens: sessions whose token ends within a day, or has ended, by organization and key of the issuer.
        companions: adapters and the federation broker.
        headroom: how much of connections, descriptors, subscriptions, memory and store is used, and can be.
    """

    identity: str
    health: HealthReport = HealthReport()
    version: str
    nats: str
    pid: int
    source: str
    since: float
    ports: Mapping[str, int]
    accepted: Mapping[str, int]
    refused: Mapping[str, int]
    engine_refused: Mapping[str, int] = {}
    unverified_account: str = ""
    operator: str = ""
    accounts: tuple[str, ...] = ()
    streams: tuple[Report, ...] = ()
    streams_now: StreamsNow | None = None
    stream_troubles: tuple[StreamTrouble, ...] = ()
    store: StoreReport | None = None
    engine: EngineReport = EngineReport()
    key_processes: KeyProcessesReport = KeyProcessesReport()
    logins: LoginsReport = LoginsReport()
    peers: Peers = Peers()
    links: tuple[Link, ...] = ()
    link_troubles: tuple[LinkTrouble, ...] = ()
    certificates: tuple[CertificateReport, ...] = ()
    authorities: AuthoritiesReport | None = None
    revocation: RevocationReport = RevocationReport()
    pending_restart: tuple[PendingRestart, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    upgrade: UpgradeReport | None = None
    reload: ReloadReport | None = None
    last_success: float = 0.0
    file_problems: tuple[FileProblem, ...] = ()
    drain: DrainReport = DrainReport()
    health_since: float = 0.0
    health_changes: tuple[HealthChange, ...] = ()
    provisioning: ProvisioningReport | None = None
    expiring_tokens: Mapping[str, int] = {}
    headroom: tuple[Headroom, ...] = ()
    companions: tuple[CompanionReport, ...] = ()


class Status(Overview, frozen=True, kw_only=True):
    """How a broker is, with what only its own user and root may know: who was at the door.

    Attributes:
        refused_addresses: addresses refused most recently, the latest first.
        denied: subjects that were not allowed, and slow consumers, the latest first.
        recent: the latest decisions, the latest first.
    """

    refused_addresses: tuple[Refused, ...]
    denied: tuple[Noted, ...] = ()
    recent: tuple[RecentDecision, ...] = ()
