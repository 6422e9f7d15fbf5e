from __future__ import annotations

import pytest

from choria_broker.access.verdict import SubjectRules


def test_an_empty_list_of_what_is_allowed_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="None or has entries"):
        SubjectRules(allow=())
    assert SubjectRules(allow=None).deny == ()
    assert SubjectRules(allow=("a",)).allow == ("a",)
