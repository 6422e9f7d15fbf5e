"""What the documentation shows is true: fenced blocks are used for real.

The first word after the fence is the language, the others are marks:

======================  ================================================================================================
``ini``                 a whole configuration of the broker: ``check`` passes it, without a warning
``ini warn=CODE``       the same, with just these warnings or features left out (the mark can be repeated)
``ini refused=CODE``    ``check`` refuses it for just these reasons
``python``              a whole program: it runs, with the last configuration of its page, and ends well
``console``             commands after ``$`` with what they print, ``...`` standing for any lines: those of
                        ``choria-broker`` run, with the last configuration of the page, and print just that
``console fails``       the same, with exit status 1
``console fleet``       the same, but it takes a running network: options and arguments are looked at
``sh MARK``             shell commands. ``by-hand`` is for what changes a machine; ``test_tutorial`` runs the others
``text``, none          what programs write; not looked at, apart from commands of ``choria-broker`` in it
======================  ================================================================================================

``/etc/choria``, ``/etc/puppetlabs/puppet/ssl``, ``/var/lib/choria-broker`` and ``ssl/`` become folders made for the
test, with certificates for broker.example.net, broker1.example.net, node1.example.net and bob.mcollective, and with
credentials in ``/etc/choria/hq.creds``. A machine
that is not told anything finds Puppet's certificates and no DNS records. Marks with ``lab`` or ``demo`` are of the
tutorial.
"""

from __future__ import annotations

import functools
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from choria_broker.cli import check, main
from choria_broker.config.load import load
from choria_broker.config.surroundings.facts import Overrides
from choria_broker.settings.finding_codes import Severity
from choria_broker.ui.pages.bundle import FILE
from choria_broker.web.relay import PAGES
from choria_broker.web.status import HEALTH, STATUS
from choria_broker.web.ui import FOLDER
from support.pages import ROOT, Block, blocks, pages
from support.surroundings import Machine
from support.testbed import free_port

LANGUAGES = {"", "ini", "python", "console", "sh", "text"}
BIN = Path(sys.executable).parent
ALL = blocks()
ON_A_FREE_PORT = """\
identity = broker.example.net
plugin.choria.broker_network = true
plugin.choria.use_srv = false
plugin.choria.network.listen_address = 127.0.0.1
plugin.choria.network.client_port = 0
plugin.choria.ssldir = /etc/puppetlabs/puppet/ssl
"""


def of(language: str, *, without: tuple[str, ...] = ()) -> list[object]:
    chosen = [block for block in ALL if block.language == language and not set(without) & set(block.marks)]
    return [pytest.param(block, id=block.name) for block in chosen]


def commands(block: Block) -> list[str]:
    """Lines that use our command, joined where they go on, without their prompt and comments."""
    text = block.text.replace("\\\n", " ")
    lines = [
        re.sub(r"^(sudo -u \S+ )?(\S*/)?choria-broker ", "choria-broker ", line.strip().removeprefix("$ "))
        for line in text.splitlines()
    ]
    return [line for line in lines if line.startswith("choria-broker ")]


def settle(machine: Machine, block: Block) -> None:
    """Write the last configuration of the page before a block."""
    earlier = [each for each in blocks(block.page) if each.language == "ini" and each.line < block.line]
    if earlier:
        machine.config.write_text(machine.adapt(earlier[-1].text), encoding="utf-8")


def test_every_block_says_what_it_is() -> None:
    assert [block.name for block in ALL if block.language not in LANGUAGES] == []
    assert [block.name for block in ALL if block.language == "sh" and len(block.marks) != 1] == []


@pytest.mark.parametrize("block", of("ini"))
def test_configurations_pass_the_check(block: Block, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.config.write_text(machine.adapt(block.text), encoding="utf-8")
    monkeypatch.setattr(check, "load", functools.partial(load, environ={}, discovery=machine.discovery()))
    outcome = check.examine(machine.config, Overrides())
    told = [finding for finding in outcome.findings if finding.severity is not Severity.INFO]
    expected = {*block.marked("warn"), *block.marked("refused")}
    assert {finding.code for finding in told} == expected, "\n".join(map(str, told))
    assert outcome.passed is not bool(block.marked("refused"))


@pytest.mark.parametrize("block", of("python", without=("demo",)))
def test_programs_run(block: Block, tmp_path: Path, machine: Machine) -> None:
    machine.config.write_text(machine.adapt(ON_A_FREE_PORT), encoding="utf-8")
    program = tmp_path / "program.py"
    program.write_text(machine.adapt(block.text).replace("8080", str(free_port())), encoding="utf-8")
    done = subprocess.run(  # noqa: S603 - a program of our own pages
        [sys.executable, program], capture_output=True, text=True, timeout=40, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("block", of("console", without=("fleet",)))
def test_commands_print_what_is_shown(block: Block, machine: Machine, tmp_path: Path) -> None:
    settle(machine, block)
    environment = {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
    for command, shown in transcript(block):
        assert "choria-broker" in command, "only our own commands are run"
        done = subprocess.run(  # noqa: S603 - commands of our own pages
            ["bash", "-c", machine.adapt(command)],  # noqa: S607 - any bash will do
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=40,
            check=False,
            cwd=machine.config.parent,
            env=environment,
        )
        printed = machine.restore(done.stdout)
        assert done.returncode == int("fails" in block.marks), printed
        assert matches(shown, printed), printed


def transcript(block: Block) -> list[tuple[str, list[str]]]:
    """Commands of a block, each with the lines that stand below it."""
    found: list[tuple[str, list[str]]] = []
    for line in block.text.replace("\\\n", " ").splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


def matches(shown: list[str], printed: str) -> bool:
    """Compare lines; ``...`` alone stands for any number of lines, inside a line for any text."""
    parts = [".*" if line == "..." else re.escape(line).replace(re.escape("..."), "[^\n]*") for line in shown]
    return not shown or re.fullmatch(r"\n*".join(parts), printed.strip(), re.DOTALL) is not None


@pytest.mark.parametrize("block", [pytest.param(block, id=block.name) for block in ALL if commands(block)])
def test_commands_exist_with_their_options(block: Block) -> None:
    for line in commands(block):
        words = shlex.split(line, comments=True)
        ends = [place for place, word in enumerate(words) if re.fullmatch(r"[|&;]+|\d?>.*", word)]
        understand(words[1 : ends[0] if ends else None])


def understand(arguments: list[str]) -> None:
    """Read a command line as the program would, without running anything."""
    command: click.Command = main
    context = click.Context(main, info_name="choria-broker")
    while isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
        _, found, arguments = command.resolve_command(context, arguments)
        assert found is not None
        command, context = found, click.Context(found, info_name=found.name, parent=context)
    command.make_parser(context).parse_args(list(arguments))


@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in pages()])
def test_make_targets_and_addresses_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE)) <= targets
    ui = {f"{FOLDER}/", f"{FOLDER}/{FILE}"}
    for path in re.findall(r"http://127\.0\.0\.1:8222(/[\w/]*(?:\.tar\.gz)?)", text):
        own = {"/choria/", "/choria/prometheus", "/choria/metrics", "/metrics", STATUS, HEALTH, *ui}
        assert path in PAGES or path in own
