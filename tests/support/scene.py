"""A broker as pages of the dashboard may meet it: with much to tell, and with texts that others have chosen."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import cast

from choria_broker.audit.acts import ActReport
from choria_broker.settings.broker import Settings
from choria_broker.settings.streams import STANDARD_STREAMS
from choria_broker.stats.history import STEPS, History, Kept
from choria_broker.stats.standings import Holding, Standing, Standings
from choria_broker.status.reloads import FindingReport
from choria_broker.status.settings_now import MemberReport, Members, SettingReport, SettingsNow
from choria_broker.ui.page import Knowledge
from support.dashboard import NOW, status_of
from support.scene_status import status

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
    return SettingsNow(settings, _findings(conf, evil))


def _findings(conf: str, evil: str) -> tuple[FindingReport, ...]:
    return (
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
