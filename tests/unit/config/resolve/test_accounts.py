"""Accounts: declared ones, those of organizations, and the one for clients that present nothing."""

from __future__ import annotations

import pytest

from choria_broker.config.surroundings.facts import Overrides
from choria_broker.settings.finding_codes import Severity
from support.scenario import NET, Result, base, net

KEYS = {
    "acme": "9b0b5c1f1f2bb2a0c1c6a4f4c2a0b1f0f3a7c1d8e4b6a9f2c3d5e7f8091a2b3c",
    "globex": "1f0f3a7c1d8e4b6a9f2c3d5e7f8091a2b3c9b0b5c1f1f2bb2a0c1c6a4f4c2a0b",
}
CLEAR = Overrides(disable_tls=True)
BAD_NAMES = ["system", "provisioning", "AUTH", "System", "$G", "$SYS", "a.b", "a b", "Choria", "\u00e4"]


@pytest.mark.parametrize("name", [*BAD_NAMES, "choria"])
def test_account_names_that_are_refused(name: str) -> None:
    assert net(f"accounts = {name}").one("bad-account").severity is Severity.REFUSE


def test_accounts() -> None:
    found = net("accounts = A, B_2, A")
    assert found.ok.network.accounts == ("A", "B_2")
    assert found.codes() == ["repeated-item"]


def organizations(*lines: str, **accounts: str) -> Result:
    """Resolve a network with organization issuers and, by issuer, their accounts."""
    issuer = "plugin.security.issuer."
    known = [f"{issuer}names = acme, globex"]
    known += [f"{issuer}{name}.public = {key}" for name, key in KEYS.items()]
    known += [f"{issuer}{name}.account = {account}" for name, account in accounts.items()]
    return base(*known, *(NET + line for line in lines))


@pytest.mark.parametrize(
    ("accounts", "expected"),
    [
        ({}, ["choria", "choria"]),
        ({"acme": "choria"}, ["choria", "choria"]),
        ({"acme": "ACME"}, ["ACME", "choria"]),
        ({"acme": "ACME", "globex": "GLOBEX"}, ["ACME", "GLOBEX"]),
        ({"acme": "shared", "globex": "shared"}, ["shared", "shared"]),
    ],
)
def test_organizations_have_accounts(accounts: dict[str, str], expected: list[str]) -> None:
    found = organizations(**accounts)
    assert found.findings == ()
    assert [issuer.account for issuer in found.ok.security.issuers] == expected
    assert found.ok.network.accounts == ()


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_an_organizations_account_cannot_have(name: str) -> None:
    finding = organizations(acme=name).one("bad-account")
    assert (finding.severity, finding.key) == (Severity.REFUSE, "plugin.security.issuer.acme.account")


def test_an_account_may_be_declared_and_an_organizations() -> None:
    found = organizations("accounts = ACME", acme="ACME")
    assert found.findings == ()


APART = {"acme": "ACME", "globex": "GLOBEX"}
PROVISIONING = "provisioning.client_password = p"
SYSTEM = ["system.user = u", "system.password = p"]


@pytest.mark.parametrize(
    ("lines", "key", "effect"),
    [
        (
            [PROVISIONING],
            "provisioning.client_password",
            "refused: the provisioner and all nodes waiting for provisioning",
        ),
        (
            [PROVISIONING, "provisioning.signer_cert = /signer.pem"],
            "provisioning.client_password",
            "refused: the provisioner and nodes with EdDSA tokens",
        ),
        (SYSTEM, "system.user", "the system user needs a certificate"),
        ([*SYSTEM, "client_anon_tls = true"], "system.user", "every login to the system account fails"),
    ],
)
def test_logins_that_no_organization_can_make(lines: list[str], key: str, effect: str) -> None:
    finding = organizations(*lines, **APART).one("organizations-apart")
    assert (finding.severity, finding.key) == (Severity.WARN, NET + key)
    assert finding.effect.startswith(effect)
    assert "organizations-apart" not in organizations(*lines, acme="ACME").codes()
    assert "organizations-apart" not in organizations(*lines).codes()


def test_a_provisioner_without_token_is_of_any_organization() -> None:
    lines = [PROVISIONING, "provisioning.provisioner_without_token = true"]
    finding = organizations(*lines, acme="ACME").one("organizations-meet")
    assert (finding.severity, finding.key) == (Severity.WARN, f"{NET}provisioning.provisioner_without_token")
    assert "organizations-meet" not in organizations(*lines).codes()
    assert "all nodes" in organizations(*lines, **APART).one("organizations-apart").effect


def test_organizations_that_share_a_key_are_not_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KEYS, "globex", KEYS["acme"].upper())
    finding = organizations(acme="ACME").one("shared-issuer-key")
    assert (finding.severity, finding.key) == (Severity.WARN, "plugin.security.issuer.globex.public")
    assert organizations().findings == ()


def test_an_account_of_an_issuer_that_is_not_listed_is_no_account() -> None:
    found = base("plugin.security.issuer.x.account = system")
    assert found.codes() == ["unlisted-name"]
    assert found.ok.security.issuers == ()


LEAFNODE = ["leafnode_remotes = hq", "leafnode_remote.hq.url = hq:7422", "gateway_name = SITE"]


def test_leafnode_remotes_reach_the_accounts_of_organizations() -> None:
    found = organizations(*LEAFNODE, "leafnode_remote.hq.account = ACME", acme="ACME")
    assert [remote.account for remote in found.ok.network.leafnodes.remotes] == ["ACME"]


def test_unverified_clients_are_refused_unless_the_operator_says_where_to() -> None:
    assert net().ok.network.unverified_account == ""
    found = net("accounts = EDGE", "unverified_account = EDGE")
    assert found.findings == ()
    assert found.ok.network.unverified_account == "EDGE"
    assert found.ok.tls.verify_clients


@pytest.mark.parametrize("overrides", [Overrides(), CLEAR])
@pytest.mark.parametrize("name", ["system", "provisioning", "EDGE", "Choria", "$G", "edge", "other"])
def test_accounts_that_are_not_for_unverified_clients(name: str, overrides: Overrides) -> None:
    declared = "accounts = Edge"
    finding = net(declared, f"unverified_account = {name}", overrides=overrides).one("bad-unverified-account")
    assert (finding.severity, finding.key) == (Severity.REFUSE, NET + "unverified_account")
    assert NET + "accounts" in finding.remedy


def test_the_account_of_provisioning_is_not_for_them_even_when_it_exists() -> None:
    found = net("provisioning.client_password = p", "unverified_account = provisioning")
    assert found.one("bad-unverified-account").severity is Severity.REFUSE


def test_the_account_of_an_organization_must_be_declared_too() -> None:
    assert "bad-unverified-account" in organizations("unverified_account = ACME", acme="ACME").codes()


OPEN = "unverified_account = choria"


@pytest.mark.parametrize(
    ("lines", "overrides", "refused"),
    [
        ([], Overrides(), True),
        (["client_tls_force_required = yes"], CLEAR, True),
        (["leafnode_port = 7422"], Overrides(), True),
        (LEAFNODE[:1], Overrides(), True),
        ([*LEAFNODE, "accounts = EDGE", "leafnode_remote.hq.account = EDGE"], Overrides(), True),
        (LEAFNODE, Overrides(), False),
        ([], CLEAR, False),
    ],
)
def test_the_fleets_own_account_does_not_become_an_open_broker(
    lines: list[str], overrides: Overrides, *, refused: bool
) -> None:
    found = net(OPEN, *lines, overrides=overrides)
    assert ("open-broker" in found.codes(Severity.REFUSE)) is refused
    assert (found.settings is None) is refused
    if found.settings:
        assert found.settings.network.unverified_account == "choria"


def test_nor_does_the_account_of_an_organization() -> None:
    lines = ["accounts = ACME", "unverified_account = ACME"]
    assert organizations(*lines, acme="ACME").one("open-broker").severity is Severity.REFUSE
    assert organizations(*lines, *LEAFNODE, acme="ACME").one("open-broker").severity is Severity.REFUSE
    assert organizations(*lines, *LEAFNODE, "leafnode_remote.hq.account = ACME", acme="ACME").findings == ()
