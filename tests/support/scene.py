"""A broker as pages of the dashboard may meet it: with much to tell, and with texts that others have chosen."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import cast

from choria_broker.audit.acts import ActReport
from choria_broker.companions.reports import CompanionReport, SideReport, State
from choria_broker.settings.broker import Settings
from choria_broker.settings.streams import STANDARD_STREAMS
from choria_broker.stats.history import STEPS, History, Kept
from choria_broker.stats.link_troubles import LinkTrouble
from choria_broker.stats.links import Link, LinkKind
from choria_broker.stats.standings import Holding, Standing, Standings
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
from choria_broker.status.reloads import PARTIAL, FileProblem, FindingReport, PendingRestart, ReloadReport, Trigger
from choria_broker.status.revocation import CrlReport, RevocationReport
from choria_broker.status.settings_now import MemberReport, Members, SettingReport, SettingsNow
from choria_broker.status.streams_now import CopyReport, StandingReport, StreamsNow
from choria_broker.streams.report import Report
from choria_broker.streams.report import State as StreamState
from choria_broker.ui.page import Knowledge
from support.dashboard import NOW, status_of

_DAY = 86400.0
_GIB = 1 << 30


def hour(step: float = 10.0, points: int = STEPS) -> History:
    """Make an hour of a broker that is busy, or its last points, with a gap where its engine was started anew."""
    history, start = History(step), NOW - STEPS * step
    totals = dict.fromkeys(Kept, 0.0)
    for at in range(STEPS - points, STEPS + 1):
        wave = 1 + math.sin(at / 25) / 3 + math.sin(at / 7) / 10
        if 200 <= at < 206:
            continue
        growing = {
            Kept.MESSAGES_IN: 12_000 * wave,
            Kept.MESSAGES_OUT: 70_000 * wave,
            Kept.BYTES_IN: 3.1e6 * wave,
            Kept.BYTES_OUT: 19e6 * wave,
            Kept.SLOW_CONSUMERS: 1 if at % 90 == 0 else 0,
            Kept.LOGINS: 8 * wave + (4000 if 206 <= at < 212 else 0),
            Kept.REFUSALS: 2 + 3 * math.sin(at / 40) ** 2,
            Kept.DECISIONS: 10 * wave,
            Kept.DECIDING: 0.0026 * wave * wave,
            Kept.BROKER_CPU: 0.3 * wave,
            Kept.ENGINE_CPU: 4.1 * wave,
            Kept.NODE_LOGINS: 0.3,
        }
        for key, value in growing.items():
            totals[key] += value
        levels = {
            Kept.CONNECTIONS: 4200 * min(1.0, (at - 205) / 8) if at > 205 else 4150 + 60 * math.sin(at / 30),
            Kept.STORE: 2.1 * _GIB + at * 900_000,
            Kept.BROKER_MEMORY: 84e6 + at * 3000,
            Kept.ENGINE_MEMORY: 310e6 + 30e6 * math.sin(at / 50),
            Kept.NODES: max(0, 14 - at // 30),
        }
        seen = {**{key: totals[key] for key in growing}, **levels}
        for key in (Kept.READ_AT, Kept.COUNTED_AT):
            history.take(start + at * step, key, seen)
    return history


def links(evil: str = "") -> tuple[Link, ...]:
    """Make links of all kinds and states."""
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


def status(evil: str = "") -> Status:
    """Make a status with much to tell."""
    ok, failed = StreamState.OK, StreamState.RETRYING
    copies = (
        CopyReport("broker2.example.net", "in-step"),
        CopyReport(f"broker3.example.net{evil}", "behind", 1204, 0.4),
    )
    return status_of(
        identity="broker1.example.net",
        nats="2.14.1",
        source="/etc/choria/broker.conf",
        links=links(evil),
        link_troubles=(
            LinkTrouble(
                "gateway",
                f"SYDNEY{evil}",
                "timeout",
                f"dial tcp 203.0.113.9:7222: i/o timeout{evil}",
                19,
                NOW - 1300,
                NOW - 30,
            ),
        ),
        streams=(
            Report("choria", "CHORIA_EVENTS", ok, "unchanged", replicas=3),
            Report("choria", "CHORIA_MACHINE", ok, "updated", replicas=3),
            Report(
                "choria", "CHORIA_STREAM_ADVISORIES", failed, "", f"insufficient storage resources available{evil}", 3
            ),
            Report("choria", f"CHORIA_EXECUTOR{evil}", StreamState.NOT_MANAGED),
            Report("choria", "KV_CHORIA_LEADER_ELECTION", ok, "created", replicas=1),
        ),
        streams_now=StreamsNow(
            meta=StandingReport("", "", True, "", "broker2.example.net"),
            standard=(
                StandingReport(
                    "choria", "CHORIA_EVENTS", True, "", "broker1.example.net", copies, 120_422, 61 << 20, 3
                ),
                StandingReport(
                    "choria",
                    "CHORIA_MACHINE",
                    False,
                    f"no member leads; nothing is heard of broker3{evil}",
                    "",
                    (),
                    8122,
                    5 << 20,
                    1,
                ),
                StandingReport("choria", "KV_CHORIA_LEADER_ELECTION", True, "", "broker1.example.net", (), 12, 2104, 0),
            ),
        ),
        store=StoreReport(
            True, 9, 41, 1_204_511, int(2.4 * _GIB), 10 * _GIB, 71 * _GIB, f"/var/lib/choria/streams{evil}"
        ),
        stream_troubles=(
            StreamTrouble("full", "choria", "X", f"stream X has no room{evil}", f"make room{evil}", 3, NOW - 100),
        ),
        provisioning=ProvisioningReport(14, NOW - 742, 0, silent=True),
        certificates=(
            CertificateReport("ca", f"/etc/choria/ssl/ca.pem{evil}", "CN=Example CA 2026", NOW + 900 * _DAY, 900.0),
            CertificateReport(
                "broker", "/etc/choria/ssl/broker.pem", f"CN=broker1.example.net{evil}", NOW + 9.5 * _DAY, 9.5
            ),
            CertificateReport("leafnode", "/etc/choria/ssl/leaf.pem", "CN=leaf.example.net", NOW - 2 * _DAY, -2.0),
        ),
        authorities=AuthoritiesReport(
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
                AuthorityReport(
                    "CN=Example CA 2020", "0000e19b3c77215f0e1a" * 3, NOW + 5 * _DAY, 5.0, (), {"leafnode": 1}
                ),
            ),
            {"client": 118},
            {"client": 3},
            NOW - 4,
        ),
        revocation=RevocationReport(
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
        ),
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
        companions=(
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
        ),
    )


def settings_now(evil: str = "") -> SettingsNow:
    """Make settings that are set, that are not, and that nobody knows."""
    conf, network = "/etc/choria/broker.conf", "plugin.choria.network."
    settings = (
        SettingReport(
            key="plugin.choria.broker_network",
            value="true",
            default="false",
            file=conf,
            line=3,
            group="The process",
            doc="Run the network broker.",
        ),
        SettingReport(key="identity", value=f"broker1.example.net{evil}", file=conf, line=1, group="The process"),
        SettingReport(
            key=network + "peers",
            value=f"broker1.example.net:5222, broker2.example.net:5222{evil}",
            file=conf,
            line=7,
            group="Cluster",
            apply="engine",
            shared=True,
        ),
        SettingReport(
            key=network + "system.password",
            value="*****",
            file=f"/etc/choria/plugin.d/choria.cfg{evil}",
            line=2,
            group="Network broker",
            apply="live",
        ),
        SettingReport(key=f"plugin.somebody.else{evil}", value="(not shown)", file=conf, line=19, apply=""),
        SettingReport(
            key=network + "write_deadline",
            value="5s",
            default="5s",
            group="Network broker",
            apply="engine",
            doc="Time a slow receiver has.",
        ),
    )
    findings = (
        FindingReport(
            "info",
            "own-entry",
            f"{conf}:7",
            f"{conf}:7: plugin.choria.network.peers{evil}: this broker is listed; nothing. Remedy: none needed",
        ),
        FindingReport(
            "warn",
            "unknown-key",
            f"{conf}:19",
            f"{conf}:19: plugin.somebody.else: not a setting{evil}; it has no effect. Remedy: remove it",
        ),
        FindingReport(
            "skip",
            "gateway-tls",
            f"{conf}:30",
            f"{conf}:30: plugin.choria.network.gateway_port = 7222: no certificate; gateways are off. Remedy: set one",
        ),
    )
    return SettingsNow(settings, findings)


def acts(evil: str = "") -> tuple[ActReport, ...]:
    """Make some acts."""
    return (
        ActReport(NOW - 20, "drain", f"root (uid 0){evil}", "begun", {"over": "300.0", "left": "4200"}),
        ActReport(
            NOW - 900,
            "kick",
            "alice (uid 1001)",
            f"ended 2 of 2 sessions{evil}",
            {"selection": f"{{'identity': 'web*'}}{evil}"},
        ),
        ActReport(NOW - 3000, "reload", "signal SIGHUP", "in use, except what needs a restart"),
        ActReport(
            NOW - 9000, "upgrade", "root (uid 0)", "done", {"before": "0.8.0", "after": "0.9.0", "seconds": "3.8"}
        ),
        ActReport(
            NOW - 86_000, "revoke", "root (uid 0)", "in use, sessions ended: 1", {"entry": f"caller up=mallory{evil}"}
        ),
    )


def standings(evil: str = "") -> Standings:
    """Make streams of others, as the engine tells them."""
    return Standings(
        None,
        (
            Standing(
                "choria",
                f"ORDERS{evil}",
                "broker2.example.net",
                holds=Holding(12_044, 9 << 20, 2),
                description=f"orders of the shop{evil}",
            ),
            Standing("payments", "LEDGER", grouped=True, doubtful_for=60.0, leads=False, holds=Holding(9, 1200, 0)),
        ),
    )


def members(evil: str = "") -> Members:
    """Make what other members tell of themselves."""
    key = "plugin.choria.network."
    return Members(
        (
            MemberReport(f"broker2.example.net{evil}", "0.9.0", "2.14.1", {key + "max_connections": f"9000{evil}"}),
            MemberReport("broker4.example.net", "0.8.0", "2.14.1", {key + "max_connections": "50000"}),
        ),
        NOW - 5,
    )


def knowledge(evil: str = "") -> Knowledge:
    """Make what pages ask; texts of others end with what is given."""
    about = MemberReport("broker1.example.net", "0.9.0", "2.14.1", {"plugin.choria.network.max_connections": "50000"})
    streams = SimpleNamespace(network=SimpleNamespace(streams=SimpleNamespace(standard=STANDARD_STREAMS)))
    drawn = hour().drawn()
    known = SimpleNamespace(
        clock=lambda: NOW,
        settings=lambda: cast("Settings", streams),
        status=lambda: status(evil),
        history=lambda: drawn,
        standings=lambda: standings(evil),
        settings_now=lambda: settings_now(evil),
        acts=lambda: acts(evil),
        about=lambda: about,
        members=lambda: members(evil),
        bundle=_no_bundle,
    )
    return cast("Knowledge", known)


async def _no_bundle() -> bytes:
    return b""


def quiet() -> Knowledge:
    """Make what pages ask of a broker that has just started, alone, with nothing turned on."""
    own = MemberReport("b1", "0.9.0", "2.14.1")
    nothing = SimpleNamespace(network=SimpleNamespace(streams=SimpleNamespace(standard=())))
    known = SimpleNamespace(
        clock=lambda: NOW,
        settings=lambda: cast("Settings", nothing),
        status=status_of,
        history=lambda: History(10.0).drawn(),
        standings=lambda: None,
        settings_now=SettingsNow,
        acts=tuple,
        about=lambda: own,
        members=lambda: Members(limit="it has no peers and no gateways"),
        bundle=_no_bundle,
    )
    return cast("Knowledge", known)
