"""What to look at in a demonstration, and what to try."""

from __future__ import annotations

import sys
from pathlib import Path

from choria_broker.demo.network import Demo
from choria_broker.demo.people import CALLERS, REFUSED, SERVERS, SLOW, caller_id

DASHBOARD = "/ui/"
"""Path of the dashboard on the statistics port."""


def guide(demo: Demo, *, port: int, stats_port: int, fleet: bool = True) -> str:
    """Write what to look at and what to try; the dashboard's address comes first.

    Args:
        demo: the demonstration.
        port: client port of its broker.
        stats_port: statistics port of its broker.
        fleet: whether the simulated fleet is there.
    """
    dashboard = f"http://127.0.0.1:{stats_port}{DASHBOARD}"
    return "\n".join(
        [
            f"\nThe dashboard: {dashboard}\n",
            *(_to_look_at() if fleet else ()),
            f"The demonstration network is in {demo.folder}: a CA, certificates, tokens and a configuration,",
            "only for this demonstration. Leave the broker running and try, in another terminal:\n",
            *(line for title, commands in _to_try(demo, port, stats_port) for line in (f"  {title}:", *commands, "")),
            "Stop the broker with Ctrl-C.\n",
        ]
    )


def _to_look_at() -> list[str]:
    return [
        "A small simulated fleet connects within seconds. Look at:",
        f"  connections   {len(SERVERS)} servers from {SERVERS[0]} to {SERVERS[-1]}; one leaves every few minutes and",
        f"                comes back. {' and '.join(map(caller_id, CALLERS))} ask all of them every ten seconds",
        f"  refusals      {caller_id(REFUSED)} connects every five seconds with a token that has expired",
        f"  slow          {caller_id(SLOW)} subscribes, does not read, and is disconnected again and again",
        "  streams       lifecycle events of the servers fill CHORIA_EVENTS\n",
    ]


def _to_try(demo: Demo, port: int, stats_port: int) -> list[tuple[str, list[str]]]:
    program, config = Path(sys.executable).parent / "choria-broker", demo.config
    server = f"tls://127.0.0.1:{port}"
    nats = f"nats --server {server} --tlsca {demo.ca}"
    mtls = f"{nats} --tlscert {demo.client_certificate} --tlskey {demo.client_key}"
    asking = f"--token {demo.token(CALLERS[0])} --publish mcollective.node.{SERVERS[0]}"
    return [
        ("how the broker is, and who is connected", [
            f"    {program} status --config {config}",
            f"    {program} connections --config {config}",
        ]),
        ("where somebody is, connected or refused", [
            f"    {program} find --config {config} {SERVERS[0].partition('.')[0]}",
            f"    {program} find --config {config} {REFUSED}",
        ]),
        (f"whether {caller_id(CALLERS[0])} may ask a server, and why", [
            f"    {program} explain --config {config} {asking}",
        ]),
        ("what is in the streams, and what the configuration means", [
            f"    {program} streams --config {config}",
            f"    {program} check --config {config}",
        ]),
        ("publish and subscribe over mTLS, from Python", [
            f"    {sys.executable} -m choria_broker.examples.pubsub --server {server} --folder {demo.folder}",
        ]),
        ("the same with the nats CLI", [
            f"    {mtls} sub demo.greeting &",
            f"    {mtls} pub demo.greeting hello",
        ]),
        ("without a certificate, which is refused (the broker's log says why)", [
            f"    {nats} pub demo.greeting hello",
        ]),
        ("the simulated fleet answers Choria's own client", [
            f"    choria ping --config {demo.client_config}",
        ]),
        ("statistics", [
            f"    curl http://127.0.0.1:{stats_port}/choria/",
            f"    curl http://127.0.0.1:{stats_port}/varz",
        ]),
    ]  # fmt: skip
