"""The deb and the rpm that ``make packages`` made, on a system of their own without network."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tools.packages.__main__ import ROOT as STAGED
from tools.packages.__main__ import TREE, pack
from tools.packages.program import HOME, VERSIONS

from support.fresh_root import Root, fresh_root

DIST = TREE / "dist"
DEADLINE = 600
CONFIG = "/etc/choria/broker.conf"
AS_BROKER = ("setpriv", "--reuid=choria-broker", "--regid=choria-broker", "--clear-groups", "--no-new-privs")
LEFT = {
    "/etc/choria/broker.conf",
    "/etc/logrotate.d/choria-broker",
    "/var/lib/choria-broker/kept",
    "/var/log/choria-broker/broker.log",
}
READY = "until grep -q 'Server is ready' /var/log/choria-broker/broker.log; do sleep 0.1; done"
SYSTEMCTL = """#!/bin/sh
echo "$@" >> /root/systemctl.log
case "$*" in *disable*) exec /usr/bin/systemctl "$@";; esac
"""
"""Stands for a running systemd with our unit active; what it would change of links is done."""

pytestmark = pytest.mark.timeout(DEADLINE)


def newer(folder: Path, kind: str) -> Path:
    """Make a package of the same program with a higher release."""
    pack(kind, nfpm=TREE / ".tools" / "nfpm", dist=folder / "newer", release="2")
    return made(folder / "newer", kind)


WITH_IT = (
    "/etc/logrotate.d/choria-broker",
    "/usr/share/bash-completion/completions/choria-broker",
    "/usr/share/zsh/site-functions/_choria-broker",
    "/usr/share/fish/vendor_completions.d/choria-broker.fish",
    "/usr/share/man/man1/choria-broker.1",
    "/usr/share/man/man1/choria-broker-init.1",
    "/usr/share/doc/choria-broker/examples/broker.conf",
    "/usr/share/doc/choria-broker/sbom.cdx.json",
    *(
        f"{HOME}/lib/python3/site-packages/{path.relative_to(TREE / 'src')}"
        for path in (TREE / "src/choria_broker/ui").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ),
)
"""Files that come with the program, those of the dashboard among them."""


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Root]:
    """A system of its own."""
    folder = tmp_path / "root"
    folder.mkdir()
    with fresh_root(folder) as own:
        yield own


def put(root: Root, package: Path) -> str:
    """Copy a package into a system and return its path there."""
    shutil.copy(package, root.file("/tmp"))
    return f"/tmp/{package.name}"


def made(folder: Path, kind: str) -> Path:
    (package,) = folder.glob(f"choria-broker*.{kind}")
    return package


def write_configuration(root: Root) -> None:
    """Write a configuration of a small network, with certificates, that the broker's user can read."""
    told = root.run("choria-broker", "init", "--identity", "broker.example.net")
    assert "runuser -u choria-broker -- " in told
    with root.file(CONFIG).open("a", encoding="utf-8") as file:
        file.write("logfile = /var/log/choria-broker/broker.log\n")


@contextlib.contextmanager
def running(root: Root) -> Iterator[subprocess.Popen[str]]:
    """Have the broker run as the unit has it: as its user, with its run directory."""
    root.run("install", "-d", "-m", "0700", "-o", "choria-broker", "/run/choria-broker")
    command = ["env", "RUNTIME_DIRECTORY=/run/choria-broker", *AS_BROKER]
    command += ["choria-broker", "broker", "run", "--config", CONFIG, "--pid", "/run/choria-broker/broker.pid"]
    with subprocess.Popen(root.command(*command), stderr=subprocess.PIPE, text=True) as process:
        try:
            root.run("timeout", "60", "sh", "-c", READY)
            yield process
        finally:
            root.run("sh", "-c", "kill $(cat /run/choria-broker/broker.pid)")
            _, told = process.communicate(timeout=90)
    assert process.returncode == 0, told


def asked(root: Root) -> str:
    """Ask the running broker how it is, and return its process id."""
    told = root.run("choria-broker", "status", "--config", CONFIG)
    assert "Health: All is well." in told
    found = re.search(r"process (\d+), running since", told)
    assert found
    return found[1]


PAGES = """
import sys, urllib.request
for path in sys.argv[1:]:
    with urllib.request.urlopen("http://127.0.0.1:8222/ui/" + path, timeout=20) as answer:
        print(path, answer.status, answer.headers.get_content_type(), len(answer.read()) > 100)
"""


def see_the_dashboard(root: Root) -> None:
    """Ask the installed broker for pages, and for what they load."""
    paths = ["health", "connections", "settings?all=1", "links", "assets/style.css", "assets/vendor/uPlot.iife.min.js"]
    told = root.run("python3", "-c", PAGES, *paths).splitlines()
    assert [each.split()[:2] for each in told] == [[path, "200"] for path in paths]
    assert all(each.endswith(" True") for each in told)


def see_what_was_installed(root: Root) -> None:
    """Look at what an operator finds after the installation."""
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", root.run("choria-broker", "--version"))
    assert "Usage: choria-broker run" in root.run("choria-broker", "run", "--help")
    assert (
        root.run("stat", "-c", "%U:%G %a", "/var/lib/choria-broker", "/var/log/choria-broker").splitlines()
        == ["choria-broker:choria-broker 750"] * 2
    )
    assert root.run("getent", "passwd", "choria-broker").strip().endswith(":/var/lib/choria-broker:/usr/sbin/nologin")
    for path in WITH_IT:
        assert root.file(path).exists(), path
    pages = root.file("/usr/share/doc/choria-broker/docs")
    assert (pages / "reference/troubleshooting.md").exists()
    refused = root.run("sh", "-c", "choria-broker check --config /nowhere 2>&1 || true")
    assert "More: /usr/share/doc/choria-broker/docs/reference/troubleshooting.md#finding-config-unreadable" in refused
    # Every module is compiled, so that a service that cannot write starts at full speed.
    compiled = f"{HOME}/lib/python3/site-packages/choria_broker/__pycache__/broker.cpython-*.pyc"
    assert root.run("sh", "-c", f"ls {compiled}")


def test_the_deb_from_the_installation_to_the_removal(root: Root, tmp_path: Path) -> None:
    told = root.run("dpkg", "-i", put(root, made(DIST, "deb")))
    assert "/usr/share/doc/choria-broker/examples/broker.conf" in told
    see_what_was_installed(root)
    write_configuration(root)
    with running(root):
        process = asked(root)
        see_the_dashboard(root)
        root.file("/usr/local/bin/systemctl").write_text(SYSTEMCTL, encoding="utf-8")
        root.file("/usr/local/bin/systemctl").chmod(0o755)
        root.file("/run/systemd/system").mkdir(parents=True)
        told = root.run("dpkg", "-i", put(root, newer(tmp_path, "deb")))
        assert "has replaced version" in told
        assert "restart" not in told
        assert asked(root) == process
    root.run("install", "-o", "choria-broker", "/dev/null", "/var/lib/choria-broker/kept")
    root.run("dpkg", "--remove", "choria-broker")
    assert "stop choria-network-broker.service" in root.file("/root/systemctl.log").read_text(encoding="utf-8")
    assert left(root) == LEFT
    root.run("dpkg", "--purge", "choria-broker")
    assert left(root) == {"/etc/choria/broker.conf", "/var/lib/choria-broker/kept"}


def left(root: Root) -> set[str]:
    """Return what the test itself did not put there."""
    own = (
        "/etc/choria/ssl/",
        "/etc/choria/first/",
        "/root/",
        "/usr/local/bin/systemctl",
        "/run",
        "/tmp",
        "/dev",
        "/proc",
    )
    users = {f"/etc/{name}{end}" for name in ("passwd", "shadow", "group", "gshadow") for end in ("", "-")}
    return {path for path in root.changes() - users if not path.startswith(own)}


def test_it_lies_beside_choria_s_own_package_and_takes_over_its_unit(root: Root, tmp_path: Path) -> None:
    root.run("dpkg", "-i", put(root, choria_package(tmp_path)))
    root.run("systemctl", "enable", "choria-broker.service")
    root.run("dpkg", "-i", put(root, made(DIST, "deb")))
    assert root.file(CONFIG).read_text(encoding="utf-8") == "plugin.choria.broker_network = true\n"

    root.run("systemctl", "disable", "choria-broker.service")
    root.run("systemctl", "enable", "choria-network-broker.service")
    ours = "/usr/lib/systemd/system/choria-network-broker.service"
    for link in ("choria-broker.service", "multi-user.target.wants/choria-network-broker.service"):
        assert root.run("readlink", "-f", f"/etc/systemd/system/{link}").strip() == ours
    assert "ExecStart=/usr/bin/choria-broker run" in root.file(ours).read_text(encoding="utf-8")

    root.run("dpkg", "--remove", "choria-broker")
    # Neither of the links is left, so the other package's unit is the one of that name.
    root.run("test", "-L", "/etc/systemd/system/choria-broker.service", fails=True)
    assert root.run("systemctl", "is-enabled", "choria-broker.service", fails=True).strip() == "disabled"
    unit = root.file("/usr/lib/systemd/system/choria-broker.service")
    assert "ExecStart=/usr/bin/choria broker run" in unit.read_text(encoding="utf-8")


def choria_package(folder: Path) -> Path:
    """Make a package with the files of go-choria's, as far as they touch ours."""
    tree = folder / "choria"
    files = {
        "DEBIAN/control": "Package: choria\nVersion: 0.28.0\nArchitecture: all\nMaintainer: a <a@example.net>\n"
        "Description: as go-choria's\n",
        "DEBIAN/conffiles": f"{CONFIG}\n",
        CONFIG.lstrip("/"): "plugin.choria.broker_network = true\n",
        "lib/systemd/system/choria-broker.service": "[Service]\n"
        "ExecStart=/usr/bin/choria broker run --config=/etc/choria/broker.conf\n"
        "[Install]\nWantedBy=multi-user.target\n",
    }
    for name, text in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text, encoding="utf-8")
    package = folder / "choria.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, package], check=True, capture_output=True)
    return package


needs_rpm = pytest.mark.skipif(shutil.which("rpm") is None, reason="no rpm program")


@needs_rpm
def test_the_rpm_from_the_installation_to_the_removal(root: Root, tmp_path: Path) -> None:
    # This system has no packages in rpm's eyes, so none that ours depends on.
    root.run("rpm", "-i", "--nodeps", put(root, made(DIST, "rpm")))
    see_what_was_installed(root)
    write_configuration(root)
    with running(root):
        process = asked(root)
        see_the_dashboard(root)
        root.run("rpm", "-U", "--nodeps", put(root, newer(tmp_path, "rpm")))
        assert asked(root) == process
    root.run("install", "-o", "choria-broker", "/dev/null", "/var/lib/choria-broker/kept")
    root.run("rpm", "-e", "choria-broker")
    assert left(root) == LEFT - {"/etc/logrotate.d/choria-broker"}


@needs_rpm
def test_the_rpm_holds_what_the_deb_holds_and_takes_the_python_of_its_system() -> None:
    def told(*command: str | Path) -> list[str]:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()

    package = made(DIST, "rpm")
    listed = told("dpkg-deb", "--contents", made(DIST, "deb"))
    files = {line.split(" ./", 1)[1].split(" -> ")[0] for line in listed if not line.startswith("d")}
    assert {path.lstrip("/") for path in told("rpm", "-qpl", package)} >= files
    needs = told("rpm", "-qp", "--requires", package)
    assert "((python3 >= 3.11 with python3 < 3.14) or python3.12 or python3.11)" in needs
    assert told("rpm", "-qpc", package) == ["/etc/logrotate.d/choria-broker"]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_libraries_load_with_every_python_they_are_packed_for(version: str) -> None:
    places = [*Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}")]
    found = shutil.which(f"python{version}", path="/usr/bin") or (places and str(places[-1]))
    if not found:
        pytest.skip(f"no Python {version}")
    packages = STAGED / HOME.lstrip("/") / "lib" / "python3" / "site-packages"
    code = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); sys.dont_write_bytecode = True\n"
        "import aiohttp._http_parser, aiohttp._websocket.reader_c, cryptography.x509, msgspec._core\n"
        "import nacl.signing, psutil, uvloop\n"
        "import frozenlist._frozenlist, multidict._multidict, propcache._helpers_c, yarl._quoting_c\n"
        "import choria_broker.broker\n"
        "from choria_broker.cli import main; main(prog_name='choria-broker')"
    )
    done = subprocess.run(
        [found, "-I", "-S", "-c", code, packages, "--version"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", done.stdout)
