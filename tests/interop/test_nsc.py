"""Stores that the real nsc writes and changes, and real Choria programs with its credentials."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nats.errors
import pytest
from nats.aio.msg import Msg

from choria_broker.broker import NetworkBroker
from choria_broker.client_end import let_go
from choria_broker.engine.bridge import login_with
from choria_broker.errors import ConfigurationError
from support.fleet import Fleet
from support.leaflinks import Ears, ears, meet, say
from support.nats_server import plain, stock, tls_block
from support.pages import ROOT, blocks
from support.testbed import Authority, client, configuration, free_port, gets_nowhere, settled

DEADLINE = 60.0


class Nsc:
    """An nsc whose stores lie where the broker looks for them.

    Attributes:
        store: directory of operator OPS.
    """

    def __init__(self, program: Path, folder: Path) -> None:
        """Make no operator yet.

        Args:
            program: path of nsc.
            folder: of the broker's configuration file.
        """
        self._program, self._keys = program, folder / "nsc"
        self._stores = folder / "accounts" / "nats"
        self.store = self._stores / "OPS"

    def __call__(self, command: str) -> str:
        """Run a command, which must succeed, and return what it prints."""
        places = ("--config-dir", self._keys, "--data-dir", self._stores, "--keystore-dir", self._keys)
        done = subprocess.run(  # noqa: S603 - the real nsc
            [self._program, *places, *command.split()], capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def operator(self, *accounts: str, more: str = "--sys") -> None:
        """Make operator OPS, and accounts each with user alice."""
        self(f"add operator --name OPS {more}")
        for account in accounts:
            self(f"add account --name {account}")
            self(f"add user --account {account} --name alice")

    def key(self, account: str) -> str:
        return self(f"describe account {account} --field sub").strip().strip('"')

    def credentials(self, account: str, user: str = "alice") -> Path:
        """Return the credentials file of a user."""
        return self._keys / "creds" / "OPS" / account / f"{user}.creds"

    def login(self, account: str, user: str = "alice") -> dict[str, Any]:
        return {**login_with(self.credentials(account, user))}


@dataclasses.dataclass(frozen=True, slots=True)
class Tenants(Fleet):
    """Choria programs that log in with a credentials file.

    Attributes:
        credentials: the file.
    """

    credentials: Path = Path()

    def _configuration(self, name: str, port: int, more: str) -> Path:
        return Fleet._configuration(self, name, port, f"{more}plugin.nats.credentials = {self.credentials}\n")


@pytest.fixture
def nsc(tmp_path: Path) -> Nsc:
    found = os.environ.get("NSC_BIN") or shutil.which("nsc")
    if not found or not Path(found).exists():
        pytest.skip("no nsc: set NSC_BIN or put nsc on PATH")
    return Nsc(Path(found), tmp_path)


def operated(folder: Path, authority: Authority, **settings: str | int | bool | Path) -> NetworkBroker:
    return NetworkBroker.from_file(configuration(folder, authority, network__operator_account="OPS", **settings))


SIGNERS: dict[str, Callable[[Nsc], None]] = {
    "one key": lambda nsc: nsc.operator("ACME", "GLOBEX"),
    "signing keys": lambda nsc: nsc.operator("ACME", "GLOBEX", more="--sys --generate-signing-key"),
}


@pytest.mark.parametrize("signers", SIGNERS)
async def test_two_tenants(tmp_path: Path, authority: Authority, nsc: Nsc, signers: str) -> None:
    SIGNERS[signers](nsc)
    async with (
        operated(tmp_path, authority) as broker,
        client(broker, authority.context(), **nsc.login("ACME")) as acme,
        client(broker, authority.context(), **nsc.login("GLOBEX")) as globex,
    ):
        at_acme, at_globex = await ears(acme), await ears(globex)
        await say(acme, "of acme", "orders.1")
        await say(globex, "of globex", "orders.1")
        assert (await at_acme.of("of acme"), await at_acme.of("of globex")) == ({"orders.1"}, set())
        assert (await at_globex.of("of acme"), await at_globex.of("of globex")) == (set(), {"orders.1"})


async def test_an_export_that_needs_an_activation(tmp_path: Path, authority: Authority, nsc: Nsc) -> None:
    nsc.operator("ACME", "GLOBEX", "OTHER")
    token = tmp_path / "activation.jwt"
    nsc("add export --account ACME --name quote --subject quote --service --private")
    nsc(f"generate activation --account ACME --subject quote --target-account {nsc.key('GLOBEX')} -o {token}")
    nsc(f"add import --account GLOBEX --token {token} --local-subject acme.quote --name quote --service")

    async def answer(request: Msg) -> None:
        await request.respond(b"42")

    async with (
        operated(tmp_path, authority) as broker,
        client(broker, authority.context(), **nsc.login("ACME")) as acme,
        client(broker, authority.context(), **nsc.login("GLOBEX")) as globex,
        client(broker, authority.context(), **nsc.login("OTHER")) as other,
    ):
        await acme.subscribe("quote", cb=answer)
        await settled(acme)
        assert (await globex.request("acme.quote", b"", timeout=5)).data == b"42"
        with pytest.raises(nats.errors.NoRespondersError):
            await other.request("acme.quote", b"", timeout=5)


async def test_strict_operators_and_users_of_roles(tmp_path: Path, authority: Authority, nsc: Nsc) -> None:
    nsc.operator(more="--generate-signing-key")
    nsc("edit operator --require-signing-keys")
    nsc("add account --name ACME")
    nsc("edit account --name ACME --sk generate")
    nsc("add user --account ACME --name alice")
    nsc("edit signing-key --account ACME --sk generate --role reader --allow-sub news.>,_INBOX.> --deny-pub >")
    nsc("add user --account ACME --name rita -K reader")
    async with (
        asyncio.timeout(DEADLINE),
        operated(tmp_path, authority) as broker,
        client(broker, authority.context(), **nsc.login("ACME")) as alice,
        client(broker, authority.context(), **nsc.login("ACME", "rita")) as rita,
    ):
        heard, told = await ears(alice, "secret"), Ears(rita)
        await rita.subscribe("news.>", cb=told.take)
        await rita.publish("secret", b"from rita")
        await rita.flush(timeout=5)
        while not told.heard:
            await say(alice, "hello", "news.1")
        assert await heard.of("from rita") == set()


async def test_a_leafnode_with_credentials(tmp_path: Path, authority: Authority, nsc: Nsc) -> None:
    nsc.operator("ACME", "GLOBEX")
    listener, port = free_port(), free_port()
    leaf = (
        f'server_name: leaf\nlisten: "127.0.0.1:{port}"\nleafnodes {{ remotes: [ {{ urls: ["nats-leaf://127.0.0.1:'
        f'{listener}"], credentials: "{nsc.credentials("ACME")}", {tls_block(authority, None)} }} ] }}\n'
    )
    async with (
        operated(tmp_path, authority, network__leafnode_port=listener) as broker,
        stock(tmp_path / "leaf", leaf),
        client(broker, authority.context(), **nsc.login("ACME")) as acme,
        client(broker, authority.context(), **nsc.login("GLOBEX")) as globex,
        plain(port) as there,
    ):
        await meet(acme, there)
        at_acme, at_globex = await ears(acme, "orders.>"), await ears(globex, "orders.>")
        await meet(acme, there)
        await say(there, "up", "orders.1")
        await meet(acme, there)
        assert (await at_acme.of("up"), await at_globex.of("up")) == ({"orders.1"}, set())


async def test_what_nsc_changes_is_in_force_after_a_reload(tmp_path: Path, authority: Authority, nsc: Nsc) -> None:
    nsc.operator("ACME", "GLOBEX")
    nsc("add user --account ACME --name mallory")
    lost: dict[str, asyncio.Event] = {name: asyncio.Event() for name in ("acme", "globex", "mallory")}

    def options(name: str, login: dict[str, Any]) -> dict[str, Any]:
        async def note() -> None:
            lost[name].set()

        return {"disconnected_cb": note, **login}

    async with (
        asyncio.timeout(DEADLINE),
        operated(tmp_path, authority, network__stream__store=tmp_path / "streams") as broker,
        client(broker, authority.context(), **options("acme", nsc.login("ACME"))) as acme,
        client(broker, authority.context(), **options("globex", nsc.login("GLOBEX"))),
        client(broker, authority.context(), **options("mallory", nsc.login("ACME", "mallory"))),
    ):
        with pytest.raises(nats.errors.Error):
            await acme.jetstream().account_info()
        nsc("add account --name NEW")
        nsc("add user --account NEW --name alice")
        nsc("edit account --name ACME --js-disk-storage 1M --js-mem-storage 1M --js-streams 1")
        nsc("revocations add-user --account ACME --name mallory")
        nsc("delete account --name GLOBEX --force")
        assert await broker.reload() == ()
        async with client(broker, authority.context(), **nsc.login("NEW")) as new:
            await settled(new)
        await lost["globex"].wait()
        await lost["mallory"].wait()
        await settled(acme)
        assert not lost["acme"].is_set()
        assert (await acme.jetstream().account_info()).limits.max_streams == 1
        await gets_nowhere(broker, authority, nsc.login("ACME", "mallory"))
        lost["acme"].clear()


async def test_what_has_expired(tmp_path: Path, authority: Authority, nsc: Nsc) -> None:
    nsc.operator("ACME", "LATE")
    nsc("edit account --name LATE --expiry 2020-01-01")
    nsc("add user --account ACME --name gone --expiry 2020-01-01")
    async with operated(tmp_path, authority) as broker:
        async with client(broker, authority.context(), **nsc.login("ACME")) as connection:
            await settled(connection)
        await gets_nowhere(broker, authority, nsc.login("LATE"))
        await gets_nowhere(broker, authority, nsc.login("ACME", "gone"))
    nsc("edit operator --expiry 2020-01-01")
    with pytest.raises(ConfigurationError, match=r"OPS\.jwt: the operator has expired"):
        operated(tmp_path, authority)


async def test_the_commands_of_the_page(tmp_path: Path, authority: Authority, nsc: Nsc) -> None:
    shown = [block.text for block in blocks(ROOT / "docs/how-to/operator-mode.md") if block.language == "sh"]
    for line in shown[0].splitlines():
        nsc(line.removeprefix("nsc "))
    (generate,) = [line for line in shown[1].splitlines() if line.startswith("nsc ")]
    file = nsc.store / "creds" / "FLEET" / "broker.creds"
    file.parent.mkdir(parents=True)
    printed = f"/etc/choria/accounts/nats/{file.relative_to(nsc.store.parent)}"
    nsc(generate.removeprefix("nsc ").replace(printed, str(file)))
    settings: dict[str, Any] = {"network__system_account": "SYS", "network__choria_account": "FLEET"}
    async with operated(tmp_path, authority, **settings) as broker:
        connection = await broker.connect()
        await settled(connection)
        await let_go(connection)


async def test_fleets_of_two_tenants(tmp_path: Path, authority: Authority, nsc: Nsc, choria: Path) -> None:
    nsc.operator("ACME", "GLOBEX")

    def fleet_of(account: str) -> Tenants:
        folder = tmp_path / account
        folder.mkdir()
        return Tenants(choria, folder, authority, nsc.credentials(account))

    acme, globex = fleet_of("ACME"), fleet_of("GLOBEX")
    async with asyncio.timeout(DEADLINE), operated(tmp_path, authority) as broker:
        port = broker.ports.client
        async with acme.server(port, "web1.example.net"), globex.server(port, "web2.example.net"):
            for fleet, own, other in ((acme, "web1", "web2"), (globex, "web2", "web1")):
                command = ("ping", "--timeout", "3", "--config", fleet.client(port))
                ping = await fleet.run_until(*command, wanted=[f"{own}.example.net"])
                assert other not in ping.output
