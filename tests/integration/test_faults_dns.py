"""Name servers that hear questions and never answer: the start, reloads and the end wait for a bounded time only.

SRV records are in ``test_cluster_discovery`` too.
"""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

import pytest

from support.command import started
from support.leaflinks import remote
from support.nameserver import name_server
from support.own_machine import NAME_SERVER, on_own_machine, possible
from support.stalls import let_in
from support.testbed import Authority, free_port
from support.topology import Node, Setting, configure, gateways, peers

BOUND = 40.0
"""Seconds: five for everything that is looked up, the others for a busy machine."""

SILENT = "of.nobody.test"


@pytest.fixture(scope="module", autouse=True)
def own_resolver() -> None:
    """Skip where programs cannot have a name server of their own."""
    possible()


def everything(node: Node) -> dict[str, Setting]:
    """Return settings with names at every place for one, none of which anybody answers for."""
    return {
        "plugin__choria__use_srv": True,
        **gateways(node, "HERE", FAR=[Node("far.example.net", f"far.{SILENT}")]),
        **peers(node, *(Node(f"broker{number}.example.net", f"broker{number}.{SILENT}") for number in range(3))),
        **remote("HQ", f"hq.{SILENT}:7422"),
        "network__leafnode_remotes": "HQ",
        "network__leafnode_port": node.leafnode,
        "network__websocket_port": free_port(),
        "network__websocket_advertise": f"web.{SILENT}:443",
        "network__public_url": f"nats://public.{SILENT}:4222",
    }


@pytest.mark.slow
async def test_nobody_waits_long_for_names_that_nobody_answers_for(tmp_path: Path, authority: Authority) -> None:
    node, log = Node("broker.example.net"), tmp_path / "broker.log"
    config = configure(tmp_path, authority, node, logfile=log, **everything(node))
    context = authority.context(authority.issue("bob.mcollective"))
    with name_server({}, silent=True, address=NAME_SERVER, port=53) as server:
        within = on_own_machine(tmp_path, "127.0.0.1 localhost\n")
        begun = time.monotonic()
        async with started("run", "--config", config, log=log, within=within) as program:
            await program.told("READY=1")
            assert time.monotonic() - begun < BOUND
            assert server.asked
            await let_in(node.client, context)
            # Names are looked up again, and whoever comes meanwhile does not notice.
            asked = len(server.asked)
            program.send(signal.SIGHUP)
            async with asyncio.timeout(BOUND):
                while len(server.asked) == asked:
                    await asyncio.sleep(0.02)
            for _ in range(5):
                await let_in(node.client, context)
            # The end waits for no names: the reload that does is given up.
            program.send(signal.SIGTERM)
            assert await program.ended() == 0
            assert not any(str(line["msg"]).startswith("Reloaded") for line in program.lines())
            messages = [f"{line['msg']} {line.get('problem', '')}" for line in program.lines()]
    assert any("did not answer in time" in each for each in messages)
    assert any(f"broker1.{SILENT}" in each for each in messages)
