"""The operator of operator mode and its accounts."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from choria_broker.values import Discreet


class OperatorAccount(Discreet, frozen=True, kw_only=True):
    """An account of an operator's store, verified.

    Attributes:
        name: its name in the store.
        key: its public key, by which the engine knows it.
        token: what the operator says of it.
        credentials: file with which the broker logs in to it, None when there is none that can be used.
    """

    hidden: ClassVar[frozenset[str] | None] = frozenset({"token"})

    name: str
    key: str
    token: str
    credentials: Path | None = None


class Operator(Discreet, frozen=True, kw_only=True):
    """An operator whose accounts the engine serves; who gets in is the engine's decision, by the tokens of users.

    Attributes:
        name: its name.
        directory: its store.
        token: what it says of itself.
        accounts: accounts it vouches for.
        system: the system account, None when there is none.
        choria: account of Choria Streams and of the broker's own connections, None when none is chosen.
    """

    hidden: ClassVar[frozenset[str] | None] = frozenset({"token"})

    name: str
    directory: Path
    token: str
    accounts: tuple[OperatorAccount, ...] = ()
    system: OperatorAccount | None = None
    choria: OperatorAccount | None = None

    def account(self, text: str) -> OperatorAccount | None:
        """Return the account with this name or public key, None when the store has no good one."""
        return next((account for account in self.accounts if text in (account.name, account.key)), None)

    def credentials_directory(self, account: str) -> Path:
        """Return where the broker looks for credentials files of an account, which is given by its name."""
        return self.directory / "creds" / account
