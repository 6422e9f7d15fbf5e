"""The accounts of a broker that is not in operator mode."""

from __future__ import annotations

from collections.abc import Iterable

SYSTEM_ACCOUNT = "system"
CHORIA_ACCOUNT = "choria"
PROVISIONING_ACCOUNT = "provisioning"


def account_names(declared: Iterable[str], organizations: Iterable[str], *, provisioning: bool) -> tuple[str, ...]:
    """Name all accounts: the standing ones first, and each once.

    Args:
        declared: further accounts in the settings.
        organizations: accounts of the organization issuers.
        provisioning: nodes are provisioned here.
    """
    standing = (CHORIA_ACCOUNT, SYSTEM_ACCOUNT, *([PROVISIONING_ACCOUNT] if provisioning else []))
    return tuple(dict.fromkeys((*standing, *declared, *organizations)))
