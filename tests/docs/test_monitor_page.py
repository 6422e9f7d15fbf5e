"""The page about watching over brokers says what a broker with its configuration says, and explains every alert."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from choria_broker.broker import NetworkBroker
from support.pages import ROOT, anchors, blocks, names, rows
from support.testbed import Authority, client
from support.topology import Node, formed, running, shows

PAGE = ROOT / "docs/how-to/monitor.md"
RULES = ROOT / "deploy/prometheus/choria-broker-rules.yml"
TEXTS = {block.text.lstrip().split("\n")[0]: block.text for block in blocks(PAGE) if block.language == "text"}


def made(folder: Path, authority: Authority, node: Node, other: Node, nowhere: Node) -> NetworkBroker:
    """Make a broker of the printed configuration; names of hosts become places on this machine, paths become ours."""
    text = next(block.text for block in blocks(PAGE) if block.language == "ini")
    places = {"broker1": node, "broker2": other} if node.identity.startswith("broker1") else {"broker2": node}
    places.setdefault("broker1", other)
    own = authority.issue(node.identity, "localhost", "127.0.0.1")
    text = text.replace("identity = broker1.example.net", f"identity = {node.identity}")
    text = re.sub(r"(broker[12])\.example\.net:5222", lambda match: f"localhost:{places[match[1]].peer}", text)
    text = text.replace("hq.example.net:7422", f"localhost:{nowhere.leafnode}")
    text = text.replace("stats_port = 8222", f"stats_port = {node.statistics}")
    text = text.replace("/var/lib/choria-broker", str(folder / node.identity))
    text = text.replace("/etc/choria/ssl/broker1.example.net.pem", str(own.certificate))
    text = text.replace("/etc/choria/ssl/broker1.example.net.key", str(own.key))
    text = text.replace("/etc/choria/ssl/ca.pem", str(authority.ca))
    for key, port in (("client_port", node.client), ("peer_port", node.peer)):
        text += f"plugin.choria.network.{key} = {port}\n"
    path = folder / f"{node.identity}.conf"
    path.write_text(f"{text}plugin.choria.network.listen_address = 127.0.0.1\n", encoding="utf-8")
    one = NetworkBroker.from_file(path)
    one.statistics.poller._interval = one._reporter.watch._interval = 0.1
    return one


def timeless(value: Any) -> str:
    """Write a document without its moments."""
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "then", json.dumps(value))


def shape(value: Any) -> Any:
    """Reduce a document to keys and types; of a list the first element stands for all."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    if isinstance(value, list):
        return [shape(each) for each in value[:1]]
    return type(value).__name__


async def test_the_status_of_the_page_is_that_of_a_broker(tmp_path: Path, authority: Authority) -> None:
    told = json.loads(TEXTS["{"])
    one, two, hq = (Node(f"{name}.example.net") for name in ("broker1", "broker2", "hq"))
    first, second = made(tmp_path, authority, one, two, hq), made(tmp_path, authority, two, one, hq)
    async with running((first, second)):
        await formed(one, two)
        async with client(first, authority.context(authority.issue("bob.mcollective"))):
            pass
        with pytest.raises(Exception, match="Authorization Violation"):
            async with client(first, authority.context()):
                pass
        found = await shows(
            one,
            "/choria/status",
            lambda status: timeless(status["health"]) == timeless(told["health"]) and status["health_since"],
        )

    for key in ("accepted", "refused"):  # Counts of this run; what they look like is the same.
        assert set(found[key]) <= set(told[key])
        del found[key], told[key]
    assert list(found["health_changes"][0]) == list(told["health_changes"][0])
    assert list(found["streams_now"]) == list(told["streams_now"])
    assert list(found["streams_now"]["meta"]) == list(told["streams_now"]["meta"])
    for each in (found, told):  # Which streams are there so far, and who leads, is chance.
        each["streams_now"] = {}
    for each in (found, told):  # What came and went while the links came up is chance.
        each["health_changes"] = []
    for each in (found, told):  # Which member dials the other is chance.
        del each["authorities"]["authorities"][0]["connections"]
    for each in (found, told):  # What was not pinged yet has no round trip.
        del each["links"][0]["rtt_ms"]
    assert shape(found) == shape(told)
    assert list(found) == list(told)
    for key in ("kind", "name", "connected", "listed", "cause"):
        assert [each[key] for each in found["links"]] == [each[key] for each in told["links"]]
    for key in ("left_out", "pending_restart"):
        assert found[key] == told[key]
    assert found["peers"]["connected"] == told["peers"]["connected"]


def test_every_field_is_explained() -> None:
    explained = [name for row in rows(PAGE, "The status") for name in names(row[0])]
    assert sorted(explained) == sorted(json.loads(TEXTS["{"]))


def test_every_alert_is_explained_with_its_severity() -> None:
    alerts = re.findall(
        r"- alert: (\w+)$.*?severity: (\w+)$", RULES.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    explained = [(names(row[0])[0], row[1]) for row in rows(PAGE, "The alerts")]
    assert sorted(explained) == sorted(alerts)


def test_every_alert_names_a_place_of_a_page_that_is_there() -> None:
    texts = re.findall(r"- alert: (\w+)$(.*?)(?=^      - alert|\Z)", RULES.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(texts) > 20
    for alert, text in texts:
        place = re.search(r'^ +description: ".* See (docs/\S+\.md)#(\S+)\."$', text, re.MULTILINE)
        assert place is not None, alert
        assert place[2] in anchors(ROOT / place[1]), alert


def test_prometheus_takes_the_configuration(tmp_path: Path) -> None:
    promtool = os.environ.get("PROMTOOL_BIN") or shutil.which("promtool")
    if not promtool:
        pytest.skip("no promtool: Debian's package prometheus has it")
    file = tmp_path / "prometheus.yml"
    file.write_text(TEXTS["scrape_configs:"].replace("/etc/prometheus", str(RULES.parent)), encoding="utf-8")
    done = subprocess.run(  # noqa: S603 - Prometheus's own program on a file of our own
        [promtool, "check", "config", file], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rules found" in done.stdout
