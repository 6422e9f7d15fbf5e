"""Finding secrets in what a broker wrote: tokens and signatures by their form, passwords and seeds by their text."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PASSWORDS = ("s3cret", "hunter2", "provpass", "syspass")
"""Every password that tests use; a broker must never write any of them."""

_KEYS = json.loads((Path(__file__).parents[1] / "vectors" / "keys.json").read_text())["keys"]
_SEEDS = tuple(pair["seed_hex"] for pair in _KEYS.values())
_TOKEN = re.compile(r"eyJ[\w-]{8,}\.[\w-]+\.[\w-]*")
_SIGNATURE = re.compile(r"(?<![\w-])[\w-]{86}(?![\w-])")
"""64 bytes as base64url."""


def leaks(text: str, *more: str) -> list[str]:
    """Return every secret in a text.

    Args:
        text: what was written.
        more: further secrets to look for.
    """
    known = (secret for secret in (*PASSWORDS, *_SEEDS, *more) if secret in text)
    return [*known, *_TOKEN.findall(text), *_SIGNATURE.findall(text)]


@pytest.fixture(autouse=True)
def no_secret_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Have every test fail whose broker logged a token, a signature, a seed or a password, at any level."""
    caplog.set_level(logging.DEBUG, logger="choria_broker")
    yield
    for phase in ("setup", "call"):
        for record in caplog.get_records(phase):
            assert not leaks(f"{record.getMessage()} {record.__dict__}")
