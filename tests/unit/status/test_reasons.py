"""Every reason of health is of a kind, and every kind has its reason."""

from __future__ import annotations

import pytest

from choria_broker.status.health import Symptoms, Validity, assess
from choria_broker.status.reasons import Reason
from choria_broker.values import replace

_DAY = 86400.0
WELL = Symptoms(engine=True)
ILL: dict[Reason, dict[str, object]] = {
    Reason.ENGINE_SILENT: {"engine": False},
    Reason.STREAMS_OFF: {"streams_problem": "disk full"},
    Reason.STREAM_DEGRADED: {"streams_degraded": ("no leader",)},
    Reason.CERTIFICATE_EXPIRED: {"certificates": (Validity("a.pem", 0.0),)},
    Reason.CERTIFICATE_EXPIRES: {"certificates": (Validity("a.pem", 3 * _DAY),)},
    Reason.LINK_DOWN: {"links_down": ("member a is not connected",)},
    Reason.MEMBERS_MISSING: {"peers_configured": 2},
    Reason.COMPANION_AILING: {"companions_ailing": ("adapter a waits",)},
    Reason.NEARLY_USED: {"nearly_used": ("90 % of connections",)},
    Reason.KEYS_SHORT: {"keys_short": "1 of 2"},
    Reason.PROVISIONING_STALLED: {"provisioning_stalled": True},
    Reason.FEATURES_LEFT_OUT: {"features_left_out": 1},
    Reason.CRL_OVERDUE: {"crls_overdue": ("of CA in a.crl",)},
    Reason.RELOAD_REFUSED: {"reload_refused": "no"},
    Reason.FILE_NOT_USED: {"files_not_used": ("a.pem",)},
    Reason.DRAINING: {"draining": "half"},
}


@pytest.mark.parametrize("kind", list(Reason))
def test_every_kind_has_its_reason(kind: Reason) -> None:
    found = assess(replace(WELL, **ILL[kind]), 1.0)  # type: ignore[arg-type] # any of them
    assert found.kinds == (kind,)
    assert len(found.reasons) == 1


def test_all_of_them_together_keep_their_kinds() -> None:
    together: dict[str, object] = {}
    for kind, fields in ILL.items():
        together |= fields if kind is not Reason.ENGINE_SILENT else {}
    found = assess(replace(WELL, **together), 1.0)  # type: ignore[arg-type] # all of them
    assert len(found.kinds) == len(found.reasons)
    assert set(found.kinds) == set(Reason) - {Reason.ENGINE_SILENT, Reason.CERTIFICATE_EXPIRED}


def test_every_symptom_is_of_a_kind() -> None:
    covered = {name for fields in ILL.values() for name in fields}
    rest = {"peers_connected", "members_down", "nothing_works"}
    assert set(Symptoms.__struct_fields__) == covered | rest
