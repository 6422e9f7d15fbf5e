"""What a broker is to be: all that its parts are told, made from what was read. Nothing is opened or started here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from choria_broker.access.build import policy_from
from choria_broker.access.policy import Policy
from choria_broker.config.load import Basis
from choria_broker.config.surroundings.facts import FileGroup
from choria_broker.engine.conf.render import Rendered, render
from choria_broker.host.facts import FileFact
from choria_broker.security.keys import SignatureCheck
from choria_broker.settings.broker import Settings
from choria_broker.settings.findings import Finding
from choria_broker.streams.standard import Plan as StreamsPlan
from choria_broker.streams.standard import plan as streams_plan
from choria_broker.streams.standard import stream_accounts
from choria_broker.values import Discreet


class Desired(Discreet, frozen=True, kw_only=True):
    """One state of a broker, whole.

    Attributes:
        settings: what it was told.
        findings: what was found while that was read.
        wanted: what the files say; differs from ``settings`` where only a restart takes it over.
        policy: what decisions about connections depend on.
        engine: the engine's configuration.
        standard_streams: what is to become of the standard streams of an account, and the accounts that have them.
        generation: number of the policy, 1 or more; it grows with each state that comes into force.
        basis: what the settings were made from, None where a program has made them.
    """

    hidden: ClassVar[frozenset[str] | None] = frozenset({"basis"})

    settings: Settings
    findings: tuple[Finding, ...]
    wanted: Settings
    policy: Policy
    engine: Rendered
    standard_streams: tuple[StreamsPlan, tuple[str, ...]]
    generation: int
    basis: Basis | None = None

    @property
    def files(self) -> Mapping[Path, FileFact]:
        """Every file that the configuration names, as it was read."""
        return self.basis.facts.files if self.basis else {}

    @property
    def groups(self) -> tuple[FileGroup, ...]:
        """The same files, by what belongs together."""
        return self.basis.facts.groups if self.basis else ()


def desire(
    settings: Settings,
    findings: tuple[Finding, ...],
    signed_by: SignatureCheck,
    *,
    generation: int,
    wanted: Settings | None = None,
    basis: Basis | None = None,
) -> Desired:
    """Make the state that settings describe.

    Args:
        settings: what the broker was told.
        findings: what was found while that was read.
        signed_by: checks the ed25519 signatures of tokens and chains.
        generation: number of the policy.
        wanted: what the files say; by default the settings.
        basis: what the settings were made from.

    Raises:
        PolicyError: the settings cannot be turned into a policy that is safe to use.
    """
    return Desired(
        settings=settings,
        findings=findings,
        wanted=wanted or settings,
        policy=policy_from(settings, signed_by),
        engine=render(settings),
        standard_streams=(
            streams_plan(settings.network.streams, settings.network.cluster.size, settings.network.gateway.name),
            stream_accounts(settings),
        ),
        generation=generation,
        basis=basis,
    )
