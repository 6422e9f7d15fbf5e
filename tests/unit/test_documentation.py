"""Where something is explained."""

from __future__ import annotations

import pytest

from choria_broker.documentation import HelpKind, help_for


@pytest.mark.parametrize(
    ("base", "address"),
    [
        ("/usr/share/doc/choria-broker", "/usr/share/doc/choria-broker/reference/troubleshooting.md#rule-mtls"),
        ("docs/", "docs/reference/troubleshooting.md#rule-mtls"),
        (
            "https://docs.example.net/broker/",
            "https://docs.example.net/broker/reference/troubleshooting.html#rule-mtls",
        ),
    ],
)
def test_a_directory_has_files_and_a_site_has_pages(base: str, address: str) -> None:
    assert help_for(HelpKind.RULE, "mtls", base=base) == address


def test_a_checkout_has_its_own_pages() -> None:
    assert help_for(HelpKind.HEALTH, "draining").endswith("reference/troubleshooting.md#health-draining")
