"""The dashboard and the alert rules: they ask for what a broker really shows."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from choria_broker.broker import NetworkBroker
from choria_broker.reload.watcher import Pace
from support.minting import ORGANIZATION
from support.revoking import crl
from support.testbed import Authority, client, free_port
from support.topology import DEADLINE, Node, Setting, broker, peers

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "deploy/grafana/choria-broker.json"
RULES = ROOT / "deploy/prometheus/choria-broker-rules.yml"
CASES = ROOT / "tests/deploy/alerts.yml"

_METRIC = re.compile(r"\b(?:choria|process)_\w+\b")
_EXPRESSION = re.compile(r"^( +)expr: (.+(?:\n\1  .+)*)$", re.MULTILINE)
_CONDITION = re.compile(r'(\w+)(=~|!=|!~|=)"([^"]*)"')
_LEGEND = re.compile(r"\{\{(\w+)\}\}")
_SAMPLE = re.compile(r"^([a-z_]+)(?:\{(.*)\})? [^ ]+$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_ADDED = {"job", "instance"}
"""Labels that Prometheus adds."""
_SELECTOR = re.compile(r"\b((?:choria|process)_\w+)\{([^}]*)\}")


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return found


def queries() -> Iterator[str]:
    for panel in dashboard()["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))
    yield from (variable["definition"] for variable in dashboard()["templating"]["list"] if variable["type"] == "query")


def rules() -> list[str]:
    return [expression for _, expression in _EXPRESSION.findall(RULES.read_text(encoding="utf-8"))]


def test_every_panel_asks_for_something() -> None:
    panels = dashboard()["panels"]
    shown = [panel for panel in panels if panel["type"] != "row"]

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len(shown) > 20
    for panel in shown:
        assert panel["targets"], panel["title"]
        assert panel["description"], panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}"
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(places) == len(panels)


@pytest.fixture
def hub() -> Node:
    return Node("broker1.example.net")


def with_everything(
    tmp_path: Path, authority: Authority, hub: Node, far: Node, cluster: Mapping[str, Setting]
) -> tuple[NetworkBroker, Path]:
    """Make the hub; the file of a signer comes with it, which may be taken away."""
    signer = tmp_path / "signer.pem"
    public = ORGANIZATION.public_key()
    signer.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    revoked = tmp_path / "revoked.pem"
    revoked.write_bytes(crl(authority._ca))
    one = broker(
        tmp_path,
        authority,
        hub,
        **cluster,
        network__leafnode_port=hub.leafnode,
        network__leafnode_remotes="far",
        network__leafnode_remote__far__url=f"localhost:{far.leafnode}",
        network__stream__store=tmp_path / "store",
        network__stream__event_retention="0",
        network__provisioning__signer_cert=signer,
        network__provisioning__client_password="s3cret",
        network__crl=revoked,
        plugin__choria__adapters="reg",
        plugin__choria__adapter__reg__type="choria_streams",
        plugin__choria__adapter__reg__ingest__topic="mcollective.broadcast.agent.discovery",
        plugin__choria__broker_federation="true",
        plugin__choria__federation_middleware_hosts=f"localhost:{far.client}",
    )
    return one, signer


def has_what_it_selects(text: str, shown: Mapping[str, Mapping[str, set[str]]]) -> None:
    """Look whether there are labels and values as an expression wants them."""
    for name, conditions in _SELECTOR.findall(text):
        for label, operator, value in _CONDITION.findall(conditions):
            values = shown[name].get(label, set())
            assert values or label in _ADDED, f"{name} has no {label}: {text}"
            assert operator != "=" or value in values or label in _ADDED, f"{name} has no {label}={value}: {text}"


def has_what_its_legend_names(panel: Mapping[str, Any], shown: Mapping[str, Mapping[str, set[str]]]) -> None:
    """Look whether there are the labels that the legend of a panel names."""
    for target in panel.get("targets", ()):
        labels = {label for name in _METRIC.findall(target["expr"]) for label in shown[name]} | _ADDED
        assert set(_LEGEND.findall(target.get("legendFormat", ""))) <= labels, panel["title"]


async def test_everything_they_ask_for_is_in_a_real_scrape(tmp_path: Path, authority: Authority, hub: Node) -> None:
    """The hub has streams, a peer, a leafnode, a remote, and has accepted and refused; its remote a damaged stream.

    A setting of the hub waits for a restart, and a file was changed that cannot be used. It has an adapter and a
    federation broker.
    """
    peer, spoke, far = (Node(f"{name}.example.net") for name in ("broker2", "spoke", "far"))
    cluster = peers(hub, peer)
    one, signer = with_everything(tmp_path, authority, hub, far, cluster)
    damaged = tmp_path / "damaged"
    (damaged / "jetstream/choria/streams/DAMAGED").mkdir(parents=True)
    outer = broker(
        tmp_path,
        authority,
        far,
        network__gateway_name="FAR",
        network__leafnode_port=far.leafnode,
        network__stream__store=damaged,
    )
    one.watcher.pace = Pace(look=0.05, patience=0.1)
    one.statistics.poller._interval = outer.statistics.poller._interval = 0.1
    two = broker(tmp_path, authority, peer, **cluster)
    leaf = broker(
        tmp_path,
        authority,
        spoke,
        network__gateway_name="SPOKE",
        network__leafnode_remotes="hub",
        network__leafnode_remote__hub__url=f"localhost:{hub.leafnode}",
    )
    texts = (*queries(), *rules())
    wanted = {name for text in texts for name in _METRIC.findall(text)}
    async with outer, one, two, leaf:
        async with client(one, authority.context(authority.issue("bob.mcollective"))):
            pass
        with pytest.raises(Exception, match=r".+"):
            async with client(one, authority.context()):
                pass
        with one.settings.source.open("a", encoding="utf-8") as config:
            config.write(f"plugin.choria.network.websocket_port = {free_port()}\n")
        await one.reload()
        signer.unlink()
        shown = await everything((hub, far), wanted)

    assert len(wanted) > 30
    assert wanted - set(shown) == set()
    for text in texts:
        has_what_it_selects(text, shown)
    for panel in dashboard()["panels"]:
        has_what_its_legend_names(panel, shown)


async def everything(nodes: Sequence[Node], wanted: set[str]) -> dict[str, dict[str, set[str]]]:
    """Scrape until every metric has a sample, or the deadline; return the values of the labels of each metric."""
    shown: dict[str, dict[str, set[str]]] = {}
    async with aiohttp.ClientSession() as session:
        end = asyncio.get_running_loop().time() + DEADLINE
        while not wanted <= set(shown) and asyncio.get_running_loop().time() < end:
            shown = {}
            for node in nodes:
                async with session.get(f"http://127.0.0.1:{node.statistics}/metrics") as answer:
                    text = await answer.text()
                for name, labels in _SAMPLE.findall(text):
                    of_name = shown.setdefault(name, {})
                    for label, value in _LABEL.findall(labels):
                        of_name.setdefault(label, set()).add(value)
            await asyncio.sleep(0.1)
    return shown


@pytest.fixture(scope="session")
def promtool() -> str:
    """Prometheus's own judge of rules."""
    found = os.environ.get("PROMTOOL_BIN") or shutil.which("promtool")
    if not found:
        pytest.skip("no promtool: Debian's package prometheus has it")
    return found


def judged(promtool: str, *arguments: str | Path) -> Mapping[str, object]:
    done = subprocess.run(  # noqa: S603 - Prometheus's own program on our own files
        [promtool, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    return {"status": done.returncode, "output": done.stdout + done.stderr}


def test_prometheus_takes_the_rules(promtool: str) -> None:
    found = judged(promtool, "check", "rules", RULES)

    assert found["status"] == 0, found["output"]
    assert f"{len(rules())} rules found" in str(found["output"])


def test_each_alert_fires_when_it_should_and_only_then(promtool: str, tmp_path: Path) -> None:
    cases = tmp_path / "alerts.yml"
    text = CASES.read_text(encoding="utf-8")
    cases.write_text(text.replace("RULES", str(RULES)), encoding="utf-8")
    alerts = re.findall(r"- alert: (\w+)", RULES.read_text(encoding="utf-8"))

    assert all(f'alertname="{alert}"' in text for alert in alerts)
    found = judged(promtool, "test", "rules", cases)
    assert found["status"] == 0, found["output"]
