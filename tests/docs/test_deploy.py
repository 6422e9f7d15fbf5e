"""The recipe of the container and the example for Kubernetes: what they name is there and works."""

from __future__ import annotations

import functools
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from choria_broker.cli import check
from choria_broker.config.load import load
from choria_broker.config.surroundings.facts import Overrides
from choria_broker.settings.finding_codes import Severity
from choria_broker.web.status import HEALTH
from support.pages import ROOT
from support.surroundings import Machine

CONTAINER = ROOT / "deploy/container"
EXAMPLE = ROOT / "deploy/kubernetes/broker.yaml"
VALIDATOR = ROOT / ".tools/site/bin/kubernetes-validate"
LINES = (CONTAINER / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()


def instructions(name: str) -> list[str]:
    """Return the arguments of all instructions of a kind."""
    return [line.partition(" ")[2].strip() for line in LINES if line.startswith(f"{name} ")]


def resources() -> dict[str, Any]:
    """Return the resources of the example by kind."""
    with EXAMPLE.open(encoding="utf-8") as file:
        return {each["kind"]: each for each in yaml.safe_load_all(file)}


def pod() -> dict[str, Any]:
    """Return what the pods of the example are."""
    found: dict[str, Any] = resources()["StatefulSet"]["spec"]["template"]["spec"]
    return found


def test_everything_that_is_copied_is_there_and_is_let_in() -> None:
    ignored = (CONTAINER / "Containerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignored[0] == "*"
    copied = {source for each in instructions("COPY") if not each.startswith("--from=") for source in each.split()[:-1]}
    assert copied
    for source in copied:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in ignored, source


def test_all_that_the_build_needs_is_copied() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    copied = {source for each in instructions("COPY") for source in each.split()[:-1]}
    named = re.findall(r'(?:readme|path) = "((?:README|hatch)[^"]*)"', project)
    assert {*named, "hatch_library.py", "engine", "src", "LICENSE"} <= copied


def test_the_stages_are_those_that_are_named() -> None:
    stages = [each.split(" AS ")[1] for each in instructions("FROM") if " AS " in each]
    used = re.findall(r"--from=(\S+)", "\n".join(instructions("COPY")))
    assert set(used) == set(stages)
    assert all(each.startswith("docker.io/library/") for each in instructions("FROM"))


def test_go_and_python_are_recent_enough() -> None:
    arguments = dict(each.split("=") for each in instructions("ARG"))
    wanted = re.search(r"^go (\d+)\.(\d+)", (ROOT / "engine/go.mod").read_text(encoding="utf-8"), re.MULTILINE)
    assert wanted is not None
    assert tuple(map(int, arguments["GO"].split("."))) >= tuple(map(int, wanted.groups()))
    assert (3, 11) <= tuple(map(int, arguments["PYTHON"].split("."))) < (3, 14)


def test_it_is_no_root_and_its_signals_arrive() -> None:
    assert instructions("USER") == ["10001:10001"]
    assert instructions("ENTRYPOINT") == ['["choria-broker"]'], "in the form without a shell"
    assert instructions("CMD") == ['["run", "--config", "/etc/choria/broker.conf"]']
    assert instructions("STOPSIGNAL") == ["SIGTERM"]


@pytest.mark.skipif(not VALIDATOR.exists(), reason="there is no validator: make site installs it")
def test_the_example_is_what_kubernetes_takes() -> None:
    words = [str(VALIDATOR), "--strict", str(EXAMPLE)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - our own words
    assert done.returncode == 0, done.stdout + done.stderr


def test_its_configuration_passes_the_check(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    text = resources()["ConfigMap"]["data"]["broker.conf"]
    for real, here in (
        ("tls.crt", "broker.example.net.pem"),
        ("tls.key", "broker.example.net.key"),
        ("ca.crt", "ca.pem"),
    ):
        text = text.replace(real, here)
    machine.config.write_text(machine.adapt(text), encoding="utf-8")
    monkeypatch.setattr(check, "load", functools.partial(load, environ={}, discovery=machine.discovery()))
    outcome = check.examine(machine.config, Overrides())
    of_this_machine = {"few-open-files", "short-listen-queue", "short-syn-queue"}
    told = {each.code for each in outcome.findings if each.severity is not Severity.INFO} - of_this_machine
    assert (outcome.passed, told) == (True, set())


def test_probes_ask_for_pages_and_ports_that_are_there() -> None:
    (container,) = pod()["containers"]
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    configured = dict(
        line.split(" = ") for line in resources()["ConfigMap"]["data"]["broker.conf"].splitlines() if " = " in line
    )
    assert str(ports["clients"]) == configured["plugin.choria.network.client_port"]
    assert str(ports["statistics"]) == configured["plugin.choria.stats_port"]
    for name in ("startupProbe", "readinessProbe"):
        assert container[name]["httpGet"] == {"path": HEALTH, "port": "statistics"}
    assert container["livenessProbe"]["tcpSocket"]["port"] in ports
    assert resources()["Service"]["spec"]["ports"][0]["targetPort"] in ports


def test_a_stop_has_the_time_it_needs() -> None:
    text = resources()["ConfigMap"]["data"]["broker.conf"]
    (soft,) = re.findall(r"soft_shutdown_timeout = (\d+)", text)
    assert pod()["terminationGracePeriodSeconds"] > int(soft) + 10


def test_it_is_no_root_with_a_root_that_it_cannot_write() -> None:
    (container,) = pod()["containers"]
    assert pod()["securityContext"]["runAsNonRoot"] is True
    assert f"{pod()['securityContext']['runAsUser']}:{pod()['securityContext']['runAsGroup']}" in instructions("USER")
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    mounted = {each["mountPath"]: each for each in container["volumeMounts"]}
    (volumes,) = instructions("VOLUME")
    assert set(yaml.safe_load(volumes)) <= set(mounted)
    assert container["args"] == yaml.safe_load(instructions("CMD")[0])


def test_labels_and_names_go_together() -> None:
    made = resources()
    labels = made["StatefulSet"]["spec"]["template"]["metadata"]["labels"]
    for kind, where in (("Service", "selector"), ("PodDisruptionBudget", "selector"), ("StatefulSet", "selector")):
        wanted = made[kind]["spec"][where]
        wanted = wanted.get("matchLabels", wanted)
        assert wanted.items() <= labels.items(), kind
    names = {each["name"] for each in pod()["volumes"]} | {
        each["metadata"]["name"] for each in made["StatefulSet"]["spec"]["volumeClaimTemplates"]
    }
    assert {each["name"] for each in pod()["containers"][0]["volumeMounts"]} == names


def test_the_page_gives_the_container_what_it_writes_to() -> None:
    page = Path(ROOT / "docs/how-to/containers.md").read_text(encoding="utf-8").replace("\\\n", " ")
    (line,) = (each for each in page.splitlines() if each.startswith("docker run "))
    words = shlex.split(line)
    assert {"--read-only", "no-new-privileges"} <= set(words)
    (volumes,) = instructions("VOLUME")
    for place in yaml.safe_load(volumes):
        assert any(place in each for each in words), place
