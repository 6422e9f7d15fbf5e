"""What this program was built from."""

from __future__ import annotations

from pathlib import Path

import pytest

from choria_broker import build_info
from choria_broker.build_info import Build, build


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            '{"sha": "0123456789ab", "date": "2026-11-28T10:00:00+00:00"}',
            Build("0123456789ab", "2026-11-28T10:00:00+00:00"),
        ),
        (
            '{"sha": "0123456789ab", "date": "2026-11-28", "documentation": "https://docs.example.net"}',
            Build("0123456789ab", "2026-11-28", "https://docs.example.net"),
        ),
        ('{"sha": "0123456789ab"}', Build()),
        ("[]", Build()),
        ("{", Build()),
        (None, Build("unknown", "unknown")),
    ],
)
def test_the_build_is_told_as_far_as_it_is_known(
    text: str | None, told: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "build.json"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    monkeypatch.setattr(build_info, "_FILE", file)
    assert build.__wrapped__() == told
