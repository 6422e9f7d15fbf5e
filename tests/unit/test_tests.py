"""How the tests themselves are laid out."""

from __future__ import annotations

import ast
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tools.pure_coverage import edges, is_edge, pure_modules
from tools.pure_coverage import module_of as module_of_source

TESTS = Path(__file__).parents[1]
UNIT = TESTS / "unit"
SOURCE = TESTS.parent / "src" / "choria_broker"
FOLDERS = {folder.name for folder in TESTS.iterdir() if folder.is_dir()} - {"support"}

TESTED_BY = {
    "access/ways.py": "test_engine_handlers.py",
    # Parts of the decision: no one can be asked without the others.
    "access/case.py": "access/test_decision.py",
    "access/policy.py": "access/test_build.py",
    "access/provisioning.py": "access/test_decision.py",
    "access/quoted.py": "access/test_decision.py",
    "access/request.py": "access/test_decision.py",
    "access/rule_path.py": "access/test_explain.py",
    "access/rules.py": "access/test_vectors.py",
    "access/trust.py": "access/test_decision.py",
    "engine/tls_causes.py": "engine/test_loglines.py",
    # Steps of reading a configuration, told by what a whole one comes to.
    "companions/metrics.py": "stats/test_companion_metrics.py",
    "companions/reports.py": "stats/test_companion_metrics.py",
    "companions/work.py": "adapters/test_work.py",
    "settings/companions.py": "config/resolve/test_adapters.py",
    "config/resolve/context.py": "config/resolve/test_whole.py",
    "config/surroundings/facts.py": "config/surroundings/test_discovery.py",
    "config/table/access.py": "config/table/test_rows.py",
    "config/table/foreign.py": "config/table/test_rows.py",
    "config/table/manual.py": "config/table/test_rows.py",
    "config/table/schema.py": "config/table/test_rows.py",
    "config/table/suites.py": "config/table/test_rows.py",
    "config/text/line_findings.py": "config/text/test_reading.py",
    "config/text/unknown_keys.py": "config/text/test_near_misses.py",
    # Certificates and tokens, judged as whole files and whole tokens.
    "security/malformed.py": "security/test_certificates.py",
    "security/signer_files.py": "config/resolve/test_security.py",
    "security/tls_chain.py": "security/test_tls_files.py",
    "security/tls_problems.py": "security/test_tls_files.py",
    "security/token_permissions.py": "cli/test_jwt_client.py",
    "security/tokens_claims.py": "security/test_tokens.py",
    # What is counted and told: read as metrics.
    "audit/decided.py": "audit/test_trail.py",
    "control/event_acts.py": "control/test_session_acts.py",
    "engine/counters.py": "engine/gate/test_gate.py",
    "engine/held.py": "engine/gate/test_holding.py",
    "engine/events.py": "engine/gate/test_gate.py",
    "stats/choria_metrics.py": "stats/test_metrics.py",
    "stats/families.py": "stats/test_metrics.py",
    "stats/measured.py": "stats/test_metrics.py",
    "stats/parts.py": "stats/test_metrics.py",
    "stats/seen.py": "stats/test_history.py",
    "stats/stream_metrics.py": "stats/test_standings.py",
    "stats/tallies.py": "stats/test_metrics.py",
    "status/certificates_now.py": "cli/test_certificates.py",
    "status/document.py": "status/test_health.py",
    # Data: what makes and what reads it is tested.
    "host/facts.py": "config/resolve/test_host_limits.py",
    "reload/desired.py": "reload/test_plan.py",
    "settings/accounts.py": "config/resolve/test_accounts.py",
    "settings/revocation.py": "security/test_crls.py",
    "enforcement/ending.py": "enforcement/test_keeper.py",
    "enforcement/wheel.py": "enforcement/test_keeper.py",
    "settings/broker.py": "config/resolve/test_whole.py",
    "settings/endpoint.py": "config/text/test_addresses.py",
    "settings/findings.py": "config/text/test_shown_values.py",
    "settings/links.py": "config/resolve/test_links.py",
    "settings/network.py": "config/resolve/test_network.py",
    "settings/operator.py": "config/resolve/test_operator.py",
    "settings/served.py": "upgrade/test_served.py",
    "settings/secret.py": "config/text/test_shown_values.py",
    "settings/security.py": "config/resolve/test_security.py",
    "settings/streams.py": "config/resolve/test_streams.py",
    "settings/tls.py": "config/resolve/test_certificates.py",
    "sessions/documents.py": "sessions/test_words.py",
    "streams/use.py": "streams/test_history.py",
    "streams/report.py": "streams/test_keeper.py",
    "ui/pages/bundle.py": "ui/test_scene.py",
}
"""Pure modules that have no test file of their own, and the one that tests them."""

OWN = {
    "access/test_client_tokens_only.py": "one setting, through the whole decision",
    "access/test_properties.py": "properties of all decisions",
    "access/test_revoked_decisions.py": "those who are revoked, through the whole decision",
    "access/test_conditions.py": "two ways to decide, held together",
    "access/test_unverified.py": "one way in, through the whole decision",
    "access/test_vectors.py": "the vectors",
    "cli/test_asking.py": "what all commands say that get no answer",
    "cli/test_commands.py": "which commands there are",
    "audit/test_trail_lines.py": "lines of the engine, through the trail",
    "config/table/test_apply.py": "one column of the table",
    "config/test_long_lists.py": "time of whole configurations",
    "config/resolve/test_operator_reload.py": "operator mode, at a reload",
    "config/resolve/test_defaults.py": "what is not set, in all parts",
    "config/test_samples.py": "configurations of the original",
    "engine/gate/test_holding.py": "a gate that changes hands",
    "engine/gate/test_vectors.py": "the vectors of frames, read by the Go tests too",
    "engine/test_gate_drain.py": "what a drain says at the gate",
    "reload/test_every_setting.py": "one change of each setting",
    "engine/test_gate_reload.py": "reloads through the gate",
    "engine/test_render_operator.py": "the file of operator mode",
    "test_cost.py": "time and memory of one question",
    "test_library.py": "the build",
    "test_loaded.py": "what a start loads",
    "test_tests.py": "the tests",
    "ui/test_facts.py": "one step of several pages",
    "ui/test_scene.py": "all pages of one scene",
    "ui/test_vendored.py": "files of others",
}
"""Test files that stand for no module, and what they are about."""


def module_of(test: Path) -> Path:
    """Return the source file that a test file is named for."""
    return test.parent / test.name.removeprefix("test_")


def unit_tests() -> dict[Path, Path]:
    """Return the source file of each unit test; ``cli/test_jwt_x.py`` stands for ``cli/jwt/x.py``."""
    found = {}
    for path in UNIT.rglob("test_*.py"):
        test = path.relative_to(UNIT)
        module = module_of(test)
        if test.name.startswith("test_jwt_"):
            module = test.parent / "jwt" / test.name.removeprefix("test_jwt_")
        found[test] = module
    return found


def test_every_pure_module_has_its_tests() -> None:
    modules = {path.relative_to("choria_broker") for path in pure_modules().values() if path.name != "__init__.py"}
    own = set(unit_tests().values())

    assert {str(module) for module in modules - own} == set(TESTED_BY)
    assert [test for test in TESTED_BY.values() if not (UNIT / test).exists()] == []
    assert [module for module in TESTED_BY if not (SOURCE / module).exists()] == []


def test_every_test_file_has_its_module() -> None:
    roots = {"support": TESTS}
    without = {
        str(test) for test, module in unit_tests().items() if not (roots.get(module.parts[0], SOURCE) / module).exists()
    }

    assert without == set(OWN)


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            yield f"{'.' * node.level}{node.module or ''}"
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_no_test_imports_another_and_helpers_are_in_support() -> None:
    files = [path for path in TESTS.rglob("*.py") if path.relative_to(TESTS).parts[0] != "support"]
    strays = [str(path) for path in files if not path.name.startswith(("test_", "conftest", "__init__"))]
    crossing = {
        f"{path.relative_to(TESTS)} imports {name}"
        for path in TESTS.rglob("*.py")
        for name in imports(path)
        if name.startswith((".", "tests"))
        or name.partition(".")[0] in FOLDERS
        or any(part.startswith("test_") for part in name.split("."))
    }

    assert strays == []
    assert crossing == set()


def test_there_is_one_fixture_of_each_name() -> None:
    found = [
        node.name
        for path in TESTS.rglob("conftest.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and any("fixture" in ast.unparse(each) for each in node.decorator_list)
    ]

    assert len(found) == len(set(found))


@pytest.mark.parametrize(
    ("module", "pattern", "edge"),
    [
        ("a.b", "a.b", True),
        ("a.b.c", "a.b", False),
        ("a.b", "a.*", True),
        ("a.b.c", "a.*", False),
        ("a.b.c", "a.**", True),
        ("a", "a.**", False),
        ("axb", "a.b", False),
    ],
)
def test_patterns_of_the_contract(module: str, pattern: str, *, edge: bool) -> None:
    assert is_edge(module, [pattern]) is edge


def test_the_contract_names_the_edges() -> None:
    contract = {"name": "pure: nothing", "ignore_imports": ["a.b -> os", "a.c.** -> *"]}
    pyproject = {"tool": {"importlinter": {"contracts": [{"name": "layers"}, contract]}}}

    assert edges(pyproject) == ["a.b", "a.c.**"]
    assert "choria_broker.access.decision" in pure_modules()
    assert not {"choria_broker.broker", "choria_broker.web.app", "choria_broker.cli"} & set(pure_modules())


WITHOUT_LIBRARY = {
    # Wiring.
    "broker",
    "service.again",
    "service.companion",
    # They ask the file system by way of paths.
    "host.preparation",
    "streams.safekeeping",
    # Parts of commands and of the port, with their tests beside those of the whole.
    "cli.bundle_masks",
    "cli.habits",
    "cli.jwt.assessment",
    "cli.jwt.layout",
    "cli.jwt.query",
    "service.profiling",
    "web.places",
}
"""Edges that import none of the libraries that pure modules must not have."""


def test_an_edge_is_one() -> None:
    pyproject = tomllib.loads((TESTS.parent / "pyproject.toml").read_text(encoding="utf-8"))
    (pure,) = (each for each in pyproject["tool"]["importlinter"]["contracts"] if each["name"].startswith("pure:"))
    libraries, found = set(pure["forbidden_modules"]), set()
    for path in SOURCE.rglob("*.py"):
        name = module_of_source(path.relative_to(SOURCE.parent)).removeprefix("choria_broker.")
        if is_edge(f"choria_broker.{name}", edges(pyproject)) and libraries.isdisjoint(imported(path)):
            found.add(name)
    assert found - {name for name in found if name.startswith("examples")} == WITHOUT_LIBRARY


def imported(path: Path) -> set[str]:
    """Return the packages that a module imports, wherever it does."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {each.name.partition(".")[0] for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


OWN_FILES = {"choria_broker.build_info", "choria_broker.ui.render"}
"""Pure modules that read files of the package itself, which are as fixed as its code."""

_OF_FILES = frozenset({
    *("chmod", "exists", "glob", "is_dir", "is_file", "is_symlink", "iterdir", "lstat", "mkdir", "open", "read_bytes"),
    *("read_text", "readlink", "rename", "rglob", "rmdir", "samefile", "stat", "touch", "unlink"),
    *("write_bytes", "write_text"),
})  # fmt: skip
"""Methods of paths that ask the file system."""


def touches_files(path: Path) -> bool:
    """Tell whether something in a module asks the file system, by the names of the methods of paths."""
    calls = (each.func for each in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(each, ast.Call))
    names = {call.attr if isinstance(call, ast.Attribute) else ast.unparse(call) for call in calls}
    return not _OF_FILES.isdisjoint(names)


def test_pure_modules_touch_no_files() -> None:
    assert {name for name, path in pure_modules().items() if touches_files(SOURCE.parent / path)} == OWN_FILES


_SAME_BY_CHANCE = 180
"""Characters that the bodies of two functions may have in common: about three lines."""


def bodies(path: Path) -> Iterator[tuple[str, str]]:
    """Return the lines of each function, without its heading and docstring, and its name."""
    text = path.read_text(encoding="utf-8")
    lines = text.split("\n")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            said = node.body[ast.get_docstring(node, clean=False) is not None :]
            if said:
                yield (
                    textwrap.dedent("\n".join(lines[said[0].lineno - 1 : node.end_lineno])),
                    f"{path.name}: {node.name}",
                )


@pytest.mark.parametrize("folder", [SOURCE, TESTS], ids=["source", "tests"])
def test_no_function_is_written_twice(folder: Path) -> None:
    places: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("*.py")):
        for body, place in bodies(path):
            places.setdefault(body, []).append(place)
    assert [same for body, same in places.items() if len(same) > 1 and len(body) > _SAME_BY_CHANCE] == []


_MOST_BLOCKS = 14
"""Python 3.12.1 crashes while it compiles 18 blocks in each other, and others refuse 20."""


def blocks_in(node: ast.AST) -> int:
    """How many blocks lie in each other below a node, those of functions in it by themselves."""
    inner = max((blocks_in(child) for child in ast.iter_child_nodes(node)), default=0)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
        return 0
    if isinstance(node, ast.With | ast.AsyncWith):
        return inner + len(node.items)
    return inner + isinstance(node, ast.Try | ast.TryStar | ast.For | ast.AsyncFor | ast.While)


def test_no_function_has_more_blocks_in_each_other_than_every_python_takes() -> None:
    deep = {}
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                deepest = max(map(blocks_in, node.body))
                if deepest > _MOST_BLOCKS:
                    deep[f"{path.name}: {node.name}"] = deepest
    assert deep == {}
