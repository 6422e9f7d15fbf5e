"""Lists of revoked certificates and intermediate CAs, with a running engine and in explanations."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from pathlib import Path
from typing import Any

import nats.errors
import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from choria_broker.broker import NetworkBroker
from choria_broker.cli import main
from support.command import invoked
from support.revoking import RevokingAuthority, crl, serial_of
from support.settled import recent
from support.stores import copy_of_nscs, credentials
from support.testbed import Identity, client, configuration, gone, settled


class Below:
    """An intermediate CA, and what it issues; what it issued is presented with its certificate."""

    def __init__(self, folder: Path, root: RevokingAuthority) -> None:
        self.folder = folder
        self.ca = root.root.create_child_ca()
        self.serial = self.ca._certificate.serial_number

    def issue(self, name: str) -> Identity:
        made = self.ca.issue_cert(name, common_name=name)
        identity = Identity(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        identity.certificate.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
        if len(made.cert_chain_pems) == 1:
            identity.certificate.write_bytes(made.cert_chain_pems[0].bytes() + self.ca.cert_pem.bytes())
        made.private_key_pem.write_to_path(identity.key)
        return identity

    def renewed(self, root: RevokingAuthority) -> bytes:
        """Make a certificate for the same name and key that lasts longer."""
        old, key = self.ca._certificate, root.root._private_key
        builder = (
            x509.CertificateBuilder()
            .subject_name(old.subject)
            .issuer_name(old.issuer)
            .public_key(old.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(old.not_valid_before_utc)
            .not_valid_after(old.not_valid_after_utc + dt.timedelta(days=9))
        )
        for each in old.extensions:
            builder = builder.add_extension(each.value, each.critical)
        return bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))


def explained(path: Path, identity: Identity) -> dict[str, Any]:
    arguments = ["explain", "--config", str(path), "--certificate", str(identity.certificate), "--json"]
    found: dict[str, Any] = json.loads(CliRunner().invoke(main, arguments).output)["verdict"]
    return found


async def out(one: NetworkBroker, root: RevokingAuthority, identity: Identity) -> str:
    with pytest.raises((nats.errors.Error, OSError)):
        async with client(one, root.context(identity)):
            pass
    return (await recent(one))[-1].rule


async def only_one_gets_in(path: Path, root: RevokingAuthority, bad: Identity, good: Identity) -> None:
    """Run a broker that refuses one certificate as revoked, and lets the other in."""
    one = NetworkBroker.from_file(path)
    async with one, client(one, root.context(good)):
        assert await out(one, root, bad) == "revoked-certificate"
        assert explained(path, bad)["rule"] == "revoked-certificate"
        assert explained(path, good)["allowed"]


@pytest.mark.parametrize("both", [False, True], ids=["root in the CA file", "both in the CA file"])
async def test_an_intermediate_ca_is_revoked_with_all_it_issued(tmp_path: Path, both: bool) -> None:
    root, lists = RevokingAuthority(tmp_path), tmp_path / "lists.pem"
    below = Below(tmp_path, root)
    leaf, other = below.issue("leaf.example.net"), root.issue("other.example.net")
    if both:
        root.ca.write_bytes(root.ca.read_bytes() + below.ca.cert_pem.bytes())
    more = crl(below.ca) if both else b""
    lists.write_bytes(crl(root.root) + more)
    path = configuration(tmp_path, root, network__crl=lists)
    one = NetworkBroker.from_file(path)
    async with one, client(one, root.context(other)) as second:
        async with client(one, root.context(leaf)) as first:
            await settled(first)
            assert explained(path, leaf)["allowed"]
            lists.write_bytes(crl(root.root, [below.serial], number=2) + more)
            await one.reload()
            assert one.enforcement.ended["revoked-certificate"] == 1
        assert await out(one, root, leaf) == "revoked-certificate"
        assert explained(path, leaf)["rule"] == "revoked-certificate"
        assert explained(path, other)["allowed"]
        await settled(second)


async def test_a_leaf_below_an_intermediate_ca_is_revoked_by_that(tmp_path: Path) -> None:
    root, lists = RevokingAuthority(tmp_path), tmp_path / "lists.pem"
    below = Below(tmp_path, root)
    bad, good = below.issue("bad.example.net"), below.issue("good.example.net")
    root.ca.write_bytes(root.ca.read_bytes() + below.ca.cert_pem.bytes())
    # The same number of the root means somebody else.
    lists.write_bytes(crl(root.root, [serial_of(good)]) + crl(below.ca, [serial_of(bad)]))
    await only_one_gets_in(configuration(tmp_path, root, network__crl=lists), root, bad, good)


async def test_another_certificate_of_the_same_ca_helps_nobody(tmp_path: Path) -> None:
    """A CA that is renewed keeps its key; a client may send the certificate that is not in the CA file."""
    root, lists = RevokingAuthority(tmp_path), tmp_path / "lists.pem"
    below = Below(tmp_path, root)
    bad, good = below.issue("bad.example.net"), below.issue("good.example.net")
    root.ca.write_bytes(root.ca.read_bytes() + below.ca.cert_pem.bytes())
    lists.write_bytes(crl(root.root) + crl(below.ca, [serial_of(bad)]))
    for each in (bad, good):
        own = each.certificate.read_bytes().partition(b"-----END CERTIFICATE-----\n")
        each.certificate.write_bytes(own[0] + own[1] + below.renewed(root))
    await only_one_gets_in(configuration(tmp_path, root, network__crl=lists), root, bad, good)


async def test_a_list_that_is_out_of_date(tmp_path: Path) -> None:
    root, lists = RevokingAuthority(tmp_path), tmp_path / "lists.pem"
    node = root.issue("node.example.net")
    old = dt.datetime.now(dt.UTC) - dt.timedelta(days=2)
    lists.write_bytes(crl(root.root, updated=old))
    path = configuration(tmp_path, root, network__crl=lists, network__crl_expired="refuse")
    one = NetworkBroker.from_file(path)
    async with one:
        assert await out(one, root, node) == "crl-expired"
        told = await asyncio.to_thread(CliRunner().invoke, main, ["status", "--config", str(path)])
        assert f"in {lists}, next update " in told.output
        assert ", out of date\n" in told.output
        assert any("is out of date" in reason for reason in one._reporter.health().reasons)
        path.write_text(path.read_text(encoding="utf-8").replace("refuse", "accept"), encoding="utf-8")
        await one.reload()
        async with client(one, root.context(node)) as connection:
            path.write_text(path.read_text(encoding="utf-8").replace("accept", "refuse"), encoding="utf-8")
            await one.reload()
            await settled(connection)


async def test_in_operator_mode_the_engine_ends_and_refuses_them(tmp_path: Path) -> None:
    root, file = RevokingAuthority(tmp_path), tmp_path / "revoked"
    root.revoke()
    store = copy_of_nscs(tmp_path)
    bad, worse, good = (root.issue(f"{name}.example.net") for name in ("bad", "worse", "good"))
    settings: dict[str, Any] = {"network__operator_account": "OPS", "network__crl": root.crl}
    path = configuration(tmp_path, root, network__revocations=file, **settings)
    one = NetworkBroker.from_file(path)
    login = credentials(store, "ACME")
    async with (
        one,
        client(one, root.context(bad), **login) as first,
        client(one, root.context(worse), **login) as second,
        client(one, root.context(good), **login) as third,
    ):
        root.revoke(bad)
        await one.reload()
        await gone(first)
        with pytest.raises((nats.errors.Error, OSError)):
            async with client(one, root.context(bad), **login):
                pass
        await settled(second)
        file.write_text("identity worse.example.net\ncaller up=bob\n", encoding="utf-8")
        found = await one.reload()
        (idle,) = [each for each in found if each.code == "no-effect"]
        assert "here 1 (caller)" in idle.effect
        await gone(second)
        await settled(third)
        refused = await asyncio.to_thread(invoked, "revoke", "--config", path, "--caller", "up=bob")
        assert (refused.exit_code, "nsc revocations add-user" in refused.output) == (1, True)
        for more in (("--dry-run",), ()):
            said = await asyncio.to_thread(invoked, "revoke", "--config", path, "--identity", "good.example.net", *more)
            assert (said.exit_code, "Its log names each" in said.output) == (0, True)
        await gone(third)
    alone = await asyncio.to_thread(invoked, "revoke", "--config", path, "--token", "1")
    assert (alone.exit_code, "nsc revocations add-user" in alone.output) == (1, True)
    assert file.read_text(encoding="utf-8").count("\n") == 3
