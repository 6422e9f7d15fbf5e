"""The patches of the library: what is applied, and what fails the build."""

from __future__ import annotations

import shutil
from pathlib import Path

import hatch_library
import pytest
from hatch_build import usable_go
from hatch_library import LibraryError, apply, parse, patches, prepare

ROOT = Path(hatch_library.__file__).parent
OLD = "one\ntwo\nthree\nfour\n"
PATCH = """Why this has to be.

--- a/server/file.go
+++ b/server/file.go
@@ -2,2 +2,3 @@ func near() {
 two
-three
+3
+3b
"""


def patched(patch: str, text: str | None) -> str:
    for change in parse("some.patch", patch):
        text = apply("some.patch", change, text)
    assert text is not None
    return text


def test_a_patch_changes_the_lines_it_names() -> None:
    assert patched(PATCH, OLD) == "one\ntwo\n3\n3b\nfour\n"


def test_the_line_numbers_do_not_count() -> None:
    assert patched(PATCH, "zero\n" * 9 + OLD) == "zero\n" * 9 + "one\ntwo\n3\n3b\nfour\n"


def test_a_patch_makes_a_new_file() -> None:
    new = "Why.\n\n--- /dev/null\n+++ b/server/new.go\n@@ -0,0 +1,2 @@\n+a\n+b\n"
    assert patched(new, None) == "a\nb\n"
    with pytest.raises(LibraryError, match=r"some\.patch does not apply to server/new\.go"):
        patched(new, "already there\n")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("one\ntwo\nthree \nfour\n", id="another line"),
        pytest.param("one\n\ttwo\nthree\n", id="other blanks"),
        pytest.param(OLD + OLD, id="twice"),
        pytest.param("one\ntwo\n3\n3b\nfour\n", id="applied already"),
        pytest.param("one\ntwo\nthree", id="no end of line"),
        pytest.param(None, id="no file"),
    ],
)
def test_a_patch_for_another_file_is_refused(text: str | None) -> None:
    with pytest.raises(LibraryError, match=r"^some\.patch does not apply to server/file\.go$"):
        patched(PATCH, text)


@pytest.mark.parametrize(
    ("patch", "complaint"),
    [
        pytest.param(PATCH.removeprefix("Why this has to be.\n\n"), "reason", id="no reason"),
        pytest.param("Why.\n", "unified diff", id="nothing to do"),
        pytest.param(PATCH.replace("a/server", "server"), "name its files", id="no a/"),
        pytest.param(PATCH.replace("b/server", "b/../server"), "name its files", id="outside"),
        pytest.param(PATCH + "+3c\n", "damaged", id="a line more than announced"),
        pytest.param(PATCH.removesuffix("+3b\n"), "damaged", id="a line less"),
        pytest.param(PATCH.replace(" two", "two"), "damaged", id="a lost blank"),
        pytest.param(PATCH.replace("@@ -2,2 +2,3 @@", "@@ x @@"), "name its files", id="no place"),
    ],
)
def test_a_damaged_patch_is_refused(patch: str, complaint: str) -> None:
    with pytest.raises(LibraryError, match=complaint):
        parse("some.patch", patch)


def test_the_patches_at_hand_are_in_form() -> None:
    assert patches(ROOT / "engine")
    for name, text in patches(ROOT / "engine").items():
        assert parse(name, text)


def test_a_patch_that_does_not_fit_the_version_fails_the_build_by_name(tmp_path: Path) -> None:
    go = usable_go(ROOT)
    assert go is not None
    shutil.copytree(ROOT / "engine", tmp_path / "engine", ignore=shutil.ignore_patterns("go.work*"))
    (tmp_path / "engine" / "patches" / "99-odd.patch").write_text(PATCH.replace("file.go", "auth.go"), encoding="utf-8")
    with pytest.raises(LibraryError, match=r"^engine/patches/99-odd\.patch does not apply to server/auth\.go of .* v2"):
        prepare(tmp_path / "engine", go)
    assert not (tmp_path / "engine" / "go.work").exists()
    assert not list((tmp_path / "build").iterdir())


def test_a_wrong_checksum_fails_the_build(tmp_path: Path) -> None:
    go = usable_go(ROOT)
    assert go is not None
    shutil.copytree(ROOT / "engine", tmp_path / "engine", ignore=shutil.ignore_patterns("go.work*"))
    sums = tmp_path / "engine" / "go.sum"
    lines = sums.read_text(encoding="utf-8").splitlines(keepends=True)
    wanted = f"{hatch_library.MODULE} v"
    odd = [line[:-9] + "AAAAAAA=\n" if line.startswith(wanted) and "/go.mod" not in line else line for line in lines]
    assert odd != lines
    sums.write_text("".join(odd), encoding="utf-8")
    with pytest.raises(LibraryError, match="checksum mismatch"):
        prepare(tmp_path / "engine", go)
