"""The status of a broker with much to tell, for pages of the dashboard."""

from __future__ import annotations

from choria_broker.companions.reports import CompanionReport, SideReport, State
from choria_broker.stats.link_troubles import LinkTrouble
from choria_broker.stats.links import Link, LinkKind
from choria_broker.status.document import (
    AuthoritiesReport,
    AuthorityReport,
    CertificateReport,
    ProvisioningReport,
    Status,
    StoreReport,
    StreamTrouble,
    UpgradeReport,
)
from choria_broker.status.drains import DRAINING, DrainReport
from choria_broker.status.reloads import PARTIAL, FileProblem, PendingRestart, ReloadReport, Trigger
from choria_broker.status.revocation import CrlReport, RevocationReport
from choria_broker.status.streams_now import CopyReport, StandingReport, StreamsNow
from choria_broker.streams.report import Report
from choria_broker.streams.report import State as StreamState
from support.dashboard import NOW, status_of

_DAY = 86400.0
_GIB = 1 << 30


def _members_linked(evil: str) -> tuple[Link, ...]:
    return (
        Link(
            LinkKind.MEMBER,
            f"broker2.example.net{evil}",
            connected=True,
            rtt_ms=0.4,
            server=f"broker2.example.net{evil}",
            address="192.0.2.12:5222",
            places=("broker2.example.net:5222",),
            answered=2.0,
            version="2.14.1",
            since=NOW - _DAY,
        ),
        Link(
            LinkKind.MEMBER,
            "broker3.example.net",
            connected=True,
            rtt_ms=0.6,
            server="broker3.example.net",
            address="192.0.2.13:5222",
            places=("broker3.example.net:5222",),
            answered=9.0,
            version="2.12.0",
            since=NOW - 3600,
        ),
    )


def _gateways(evil: str) -> tuple[Link, ...]:
    return (
        Link(
            LinkKind.GATEWAY,
            "LONDON",
            connected=True,
            rtt_ms=11.8,
            server="broker1.london.example.net",
            address="198.51.100.7:7222",
            places=("broker1.london.example.net:7222",),
            answered=4.0,
            version="2.14.1",
            since=NOW - 9 * _DAY,
        ),
        Link(
            LinkKind.GATEWAY,
            f"SYDNEY{evil}",
            connected=False,
            places=("broker1.sydney.example.net:7222",),
            since=NOW - 1300,
            cause="timeout",
            why=f"dial tcp 203.0.113.9:7222: i/o timeout{evil}",
        ),
    )


def _leafnodes() -> tuple[Link, ...]:
    return (
        Link(
            LinkKind.LEAFNODE,
            "plant-7.example.net",
            connected=True,
            rtt_ms=32.0,
            server="plant-7.example.net",
            address="203.0.113.77",
            answered=12.0,
            version="2.14.1",
            listed=False,
            since=NOW - 5000,
        ),
        Link(
            LinkKind.LEAFNODE,
            "a-site-with-quite-a-long-name.factory.example.net",
            connected=True,
            rtt_ms=41.5,
            server="a-site-with-quite-a-long-name.factory.example.net",
            address="203.0.113.78",
            version="2.14.1",
            listed=False,
            since=NOW - 600,
        ),
        Link(LinkKind.LEAFNODE, "headquarters", places=("hub.example.net:6222",)),
    )


def links(evil: str = "") -> tuple[Link, ...]:
    """Make links of all kinds and states."""
    return (*_members_linked(evil), *_gateways(evil), *_leafnodes())


def _link_troubles(evil: str) -> tuple[LinkTrouble, ...]:
    return (
        LinkTrouble(
            "gateway",
            f"SYDNEY{evil}",
            "timeout",
            f"dial tcp 203.0.113.9:7222: i/o timeout{evil}",
            19,
            NOW - 1300,
            NOW - 30,
        ),
    )


def _standard_streams(evil: str) -> tuple[Report, ...]:
    ok, failed = StreamState.OK, StreamState.RETRYING
    return (
        Report("choria", "CHORIA_EVENTS", ok, "unchanged", replicas=3),
        Report("choria", "CHORIA_MACHINE", ok, "updated", replicas=3),
        Report("choria", "CHORIA_STREAM_ADVISORIES", failed, "", f"insufficient storage resources available{evil}", 3),
        Report("choria", f"CHORIA_EXECUTOR{evil}", StreamState.NOT_MANAGED),
        Report("choria", "KV_CHORIA_LEADER_ELECTION", ok, "created", replicas=1),
    )


def _streams_now(evil: str) -> StreamsNow:
    copies = (
        CopyReport("broker2.example.net", "in-step"),
        CopyReport(f"broker3.example.net{evil}", "behind", 1204, 0.4),
    )
    return StreamsNow(
        meta=StandingReport("", "", True, "", "broker2.example.net"),
        standard=(
            StandingReport("choria", "CHORIA_EVENTS", True, "", "broker1.example.net", copies, 120_422, 61 << 20, 3),
            StandingReport(
                "choria",
                "CHORIA_MACHINE",
                False,
                f"no member leads; no response from broker3{evil}",
                "",
                (),
                8122,
                5 << 20,
                1,
            ),
            StandingReport("choria", "KV_CHORIA_LEADER_ELECTION", True, "", "broker1.example.net", (), 12, 2104, 0),
        ),
    )


def _certificates(evil: str) -> tuple[CertificateReport, ...]:
    return (
        CertificateReport("ca", f"/etc/choria/ssl/ca.pem{evil}", "CN=Example CA 2026", NOW + 900 * _DAY, 900.0),
        CertificateReport(
            "broker", "/etc/choria/ssl/broker.pem", f"CN=broker1.example.net{evil}", NOW + 9.5 * _DAY, 9.5
        ),
        CertificateReport("leafnode", "/etc/choria/ssl/leaf.pem", "CN=leaf.example.net", NOW - 2 * _DAY, -2.0),
    )


def _authorities(evil: str) -> AuthoritiesReport:
    return AuthoritiesReport(
        (
            AuthorityReport(
                f"CN=Example CA 2026{evil}",
                "9f2c1a77b08d4e5510aa" * 3,
                NOW + 900 * _DAY,
                900.0,
                ("/etc/choria/ssl/ca.pem",),
                {"client": 2650, "cluster": 2},
            ),
            AuthorityReport(
                "CN=Example CA 2023",
                "44d0e19b3c77215f0e1a" * 3,
                NOW + 60 * _DAY,
                60.0,
                ("/etc/choria/ssl/ca.pem", f"/etc/choria/ssl/old.pem{evil}"),
                {"client": 1421},
            ),
            AuthorityReport("CN=Example CA 2020", "0000e19b3c77215f0e1a" * 3, NOW + 5 * _DAY, 5.0, (), {"leafnode": 1}),
        ),
        {"client": 118},
        {"client": 3},
        NOW - 4,
    )


def _revocation(evil: str) -> RevocationReport:
    return RevocationReport(
        (
            CrlReport(
                f"CN=Example CA 2023{evil}",
                f"/etc/choria/ssl/crl.pem{evil}",
                12,
                7,
                NOW - 9 * _DAY,
                NOW - _DAY,
                overdue=True,
            ),
        ),
        f"/etc/choria/revoked{evil}",
        4,
        {"revoked-certificate": 2},
    )


def _companions(evil: str) -> tuple[CompanionReport, ...]:
    return (
        CompanionReport(
            kind="adapter",
            name=f"node_data{evil}",
            state=State.RUNNING,
            sentence="adapter node_data is running",
            processes=(4312,),
            received=88_120,
            published=88_119,
            sides={
                "ingest": SideReport(1, 1, ("nats://127.0.0.1:4222",)),
                "stream": SideReport(1, 1, ("nats://streams.example.net:4222",)),
            },
        ),
        CompanionReport(
            kind="federation",
            name="production",
            state=State.WAITING,
            sentence=f"federation broker production waits for federation{evil}",
            processes=(4313, 4314),
            received=120,
            published=118,
            errors=2,
            lost=3,
            restarts=1,
            sides={
                "federation": SideReport(2, 0, (), f"connection refused{evil}"),
                "collective": SideReport(2, 2, ("nats://127.0.0.1:4222",)),
            },
        ),
    )


def status(evil: str = "") -> Status:
    """Make a status with much to tell."""
    return status_of(
        identity="broker1.example.net",
        nats="2.14.1",
        source="/etc/choria/broker.conf",
        links=links(evil),
        link_troubles=_link_troubles(evil),
        streams=_standard_streams(evil),
        streams_now=_streams_now(evil),
        store=StoreReport(
            True, 9, 41, 1_204_511, int(2.4 * _GIB), 10 * _GIB, 71 * _GIB, f"/var/lib/choria/streams{evil}"
        ),
        stream_troubles=(
            StreamTrouble("full", "choria", "X", f"stream X has no room{evil}", f"make room{evil}", 3, NOW - 100),
        ),
        provisioning=ProvisioningReport(14, NOW - 742, 0, silent=True),
        certificates=_certificates(evil),
        authorities=_authorities(evil),
        revocation=_revocation(evil),
        expiring_tokens={f"choria 8d3f{evil}": 12},
        pending_restart=(
            PendingRestart(
                f"plugin.choria.network.client_port{evil}", "4222", f"4223{evil}", "/etc/choria/broker.conf", 12
            ),
        ),
        file_problems=(
            FileProblem(
                (f"/etc/choria/ssl/ca.pem{evil}",), NOW - 60, f"/etc/choria/ssl/ca.pem: not a certificate{evil}"
            ),
        ),
        reload=ReloadReport(time=NOW - 3000, triggers=(Trigger("command", f"root (uid 0){evil}"),), result=PARTIAL),
        drain=DrainReport(DRAINING, f"root (uid 0){evil}", NOW - 20, 300.0, 4200, 3900, 300, 4, 2),
        upgrade=UpgradeReport(
            time=NOW - 9000, by=f"root (uid 0){evil}", before="0.8.0", after="0.9.0", begun=NOW - 9004, seconds=3.8
        ),
        companions=_companions(evil),
    )
