"""Blocks of PEM files, found where the engine finds them."""

from __future__ import annotations

import base64

import pytest

from choria_broker.security.pem import Block, blocks

TEXT = base64.b64encode(b"content").decode()
GOOD = f"-----BEGIN CERTIFICATE-----\n{TEXT}\n-----END CERTIFICATE-----\n"
FOUND = Block("CERTIFICATE", b"content")
LOCKED = Block("CERTIFICATE", b"content", headers=True)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param(GOOD, (FOUND,), id="one"),
        pytest.param(f"before\n{GOOD}between\n{GOOD}", (FOUND, FOUND), id="two, and other text"),
        pytest.param(GOOD.replace("\n", "\r\n"), (FOUND,), id="lines of Windows"),
        pytest.param(
            GOOD.replace(TEXT, f"Proc-Type: 4,ENCRYPTED\n\n{TEXT}"),
            (LOCKED,),
            id="headers",
        ),
        pytest.param("x" + GOOD, (), id="not at the beginning of a line"),
        pytest.param(GOOD.replace("BEGIN CERTIFICATE-----", "BEGIN CERTIFICATE"), (), id="no dashes"),
        pytest.param(GOOD.replace("END CERTIFICATE", "END KEY"), (), id="another end"),
        pytest.param(GOOD.replace(TEXT, TEXT[:-1]), (), id="a letter lost"),
        pytest.param(GOOD.replace(TEXT, "!!!!"), (), id="no base64"),
        pytest.param(GOOD.replace(TEXT, "a: b\n-----END CERTIFICATE-----: c"), (), id="headers beyond the end"),
        pytest.param(GOOD.replace(TEXT, "!!!!") + GOOD, (FOUND,), id="a good one after a bad one"),
        pytest.param("", (), id="nothing"),
    ],
)
def test_what_is_found(text: str, found: tuple[Block, ...]) -> None:
    assert blocks(text.encode()) == found


def test_content_is_not_shown() -> None:
    assert repr(Block("PRIVATE KEY", b"hunter2")) == "Block('PRIVATE KEY')"
