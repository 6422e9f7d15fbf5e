"""What counts as a loss, and which troubles end when a description was mended."""

from __future__ import annotations

import logging

import pytest

from choria_broker.streams.trouble import Mended, Trouble, TroubleKind
from choria_broker.values import replace

DESCRIPTION = Trouble(TroubleKind.NOT_RESTORED, "words", "remedy", "choria", "ORDERS")
OF_READER = replace(DESCRIPTION, file="/store/jetstream/choria/streams/ORDERS/obs/READER")


@pytest.mark.parametrize("kind", TroubleKind)
def test_only_errors_of_some_kinds_are_losses(kind: TroubleKind) -> None:
    lost = kind in {TroubleKind.DAMAGED, TroubleKind.KEPT, TroubleKind.NOT_RESTORED}
    assert replace(DESCRIPTION, kind=kind).loses is lost
    assert not replace(DESCRIPTION, kind=kind, level=logging.WARNING).loses


@pytest.mark.parametrize(
    ("mended", "trouble", "ends"),
    [
        (Mended("choria", "ORDERS", ""), DESCRIPTION, True),
        (Mended("choria", "ORDERS", ""), OF_READER, False),
        (Mended("choria", "ORDERS", "READER"), OF_READER, True),
        (Mended("choria", "ORDERS", "ADER"), OF_READER, False),
        (Mended("choria", "ORDERS", "READER"), DESCRIPTION, False),
        (Mended("acme", "ORDERS", ""), DESCRIPTION, False),
        (Mended("choria", "OTHER", ""), DESCRIPTION, False),
        (Mended("choria", "ORDERS", ""), replace(DESCRIPTION, kind=TroubleKind.KEPT), False),
    ],
)
def test_what_ends_when_a_description_is_mended(mended: Mended, trouble: Trouble, *, ends: bool) -> None:
    assert mended.ends(trouble) is ends
