"""The way a decision took through the rules, and the verdict at its end."""

from __future__ import annotations

from collections.abc import Collection

from msgspec import structs

from choria_broker.access import rules
from choria_broker.access.quoted import quoted
from choria_broker.access.rules import Rule
from choria_broker.access.verdict import Permissions, Step, Verdict


class RulePath:
    """Collects the rules a decision looks at and turns the last one into the verdict."""

    __slots__ = ("_accounts", "_steps")

    def __init__(self, accounts: Collection[str]) -> None:
        """Start at the beginning.

        Args:
            accounts: the accounts there are; nobody is let into any other.
        """
        self._accounts = accounts
        self._steps: list[Step] = []

    def note(self, rule: Rule, outcome: str) -> None:
        """Record that a rule was looked at and did not decide.

        Args:
            rule: the rule.
            outcome: what it came to, in a few words without secrets.
        """
        self._steps.append(Step(rule.name, outcome))

    def refuse(self, rule: Rule, reason: str, *, method: str = "none", remedy: str = "") -> Verdict:
        """Refuse the connection.

        Args:
            rule: the rule that refuses.
            reason: one sentence for the operator, without its full stop and without secrets.
            method: how the connection tried to be recognised.
            remedy: what to do; empty takes that of the rule.
        """
        self.note(rule, f"refused: {reason}")
        return Verdict(
            allowed=False,
            rule=rule.name,
            reason=f"{reason[:1].upper()}{reason[1:]}.",
            method=method,
            remedy=remedy or rule.remedy,
            trail=tuple(self._steps),
        )

    def accept(
        self,
        rule: Rule,
        reason: str,
        *,
        method: str,
        account: str,
        username: str,
        permissions: Permissions | None = None,
    ) -> Verdict:
        """Let the connection in, provided that the account exists.

        Args:
            rule: the rule that accepts.
            reason: one sentence for the operator, without its full stop and without secrets.
            method: how the connection was recognised.
            account: where it is placed.
            username: its name, possibly empty.
            permissions: its limits, None for none.
        """
        if account not in self._accounts:
            return self.refuse(rules.ACCOUNT_ABSENT, f"account {quoted(account)} does not exist", method=method)
        self.note(rule, "accepted")
        return Verdict(
            allowed=True,
            rule=rule.name,
            reason=f"{reason[:1].upper()}{reason[1:]}.",
            method=method,
            account=account,
            # Half of a surrogate pair fits no wire format.
            username=username if username.isascii() else username.encode(errors="replace").decode(),
            permissions=permissions,
            trail=tuple(self._steps),
        )

    def refuse_for_both(self, verdict: Verdict, other: Verdict, *, as_what: str) -> Verdict:
        """Refuse a connection that was looked at in two ways, so that both reasons can be read.

        Args:
            verdict: the refusal that decides.
            other: the other refusal.
            as_what: what the connection was taken for when the other refusal was made.
        """
        self._steps.append(Step(verdict.rule, "refused: nothing else let the connection in"))
        reason = f"{verdict.reason} As {as_what}: {other.reason[:1].lower()}{other.reason[1:]}"
        return structs.replace(verdict, reason=reason, trail=tuple(self._steps))
