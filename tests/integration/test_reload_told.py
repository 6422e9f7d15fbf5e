"""What a reload is said to have done: by the command, and of settings that wait for a restart."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from choria_broker.broker import NetworkBroker
from choria_broker.control import server
from choria_broker.control.peer_credentials import Peer
from choria_broker.control.protocol import DecisionRequest, StatusRequest
from choria_broker.errors import ConfigurationError
from choria_broker.reload.plan import pending
from support.command import run
from support.minting import ORGANIZATION, by_token, hex_of
from support.spoiling import cut, directory, empty, expired, gone, of_another
from support.testbed import IDENTITY, Authority, change, client, configuration, free_port, settled

VECTORS = Path(__file__).parents[1] / "vectors"
NET = "plugin.choria.network."


@pytest.fixture
def config(tmp_path: Path, authority: Authority) -> Path:
    """Write a configuration that lets clients with certificates and with tokens in."""
    return configuration(tmp_path, authority, network__client_signer_cert=hex_of(ORGANIZATION))


async def test_what_only_a_restart_changes_waits_and_the_rest_is_in_force(
    config: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with NetworkBroker.from_file(config) as broker:
        change(config, websocket_port=free_port(), max_connections=70)
        await broker.reload()
        assert (broker.settings.network.websocket.port, broker.settings.network.max_connections) == (0, 70)
        assert "This setting takes effect after a restart" in caplog.text
        caplog.clear()
        change(config, websocket_port="")
        await broker.reload()
        assert "after a restart" not in caplog.text


@pytest.mark.parametrize(
    ("name", "harm"),
    [
        *(("broker.example.net.pem", harm) for harm in (cut, gone, directory, empty, of_another, expired)),
        *(("broker.example.net.key", harm) for harm in (cut, gone, directory, empty, of_another)),
        *(("ca.pem", harm) for harm in (cut, gone, directory, empty)),
        *(("signer.pem", harm) for harm in (cut, gone, directory, empty)),
        *(("remote.pem", harm) for harm in (cut, gone, directory, empty)),
        *(("remote.creds", harm) for harm in (gone, directory, empty)),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
async def test_a_broken_file_changes_nothing_and_is_named(
    name: str, harm: Callable[[Path, Authority], None], tmp_path: Path, authority: Authority
) -> None:
    remote = Authority(tmp_path, "remote")
    signer = tmp_path / "signer.pem"
    public = ORGANIZATION.public_key()
    signer.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    credentials = tmp_path / "remote.creds"
    shutil.copy(VECTORS / "operator/OPS/creds/ACME/broker.creds", credentials)
    config = configuration(
        tmp_path,
        authority,
        network__client_signer_cert=signer,
        network__leafnode_remotes="hub",
        network__leafnode_remote__hub__url=f"127.0.0.1:{free_port()}",
        network__leafnode_remote__hub__tls__ca=remote.ca,
        network__leafnode_remote__hub__credentials=credentials,
    )
    trusting = authority.context()
    async with NetworkBroker.from_file(config) as broker, client(broker, trusting, **by_token()) as before:
        broker.reloads.settling = 0
        target = next(path for path in (authority.ca.parent / name, tmp_path / name) if path.exists())
        harm(target, authority)
        change(config, max_connections=70)
        with pytest.raises(ConfigurationError) as caught:
            await broker.reload()
        # Of a certificate and a key that do not belong together, either may be the wrong one.
        named = target.with_suffix("") if harm is of_another else target
        assert any(str(named) in str(finding) for finding in caught.value.findings), caught.value.findings
        assert "the broker does not start" not in str(caught.value)
        assert broker.settings.network.max_connections != 70
        assert [each.name for each in broker.settings.network.leafnodes.remotes] == ["hub"]
        async with client(broker, trusting, **by_token()):
            pass
        await settled(before)


async def test_the_command_says_what_is_in_force_and_what_waits(
    config: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "choria_broker")
    reload = ("reload", "--config", config)
    async with NetworkBroker.from_file(config) as broker, client(broker, authority.context(), **by_token()) as before:
        found = await run(*reload)
        assert (found.exit_code, found.stdout) == (0, "Nothing had changed.\n")

        change(config, client_hosts="10.0.0.0/8", max_connections=70)
        authority.issue("broker.example.net", "127.0.0.1")
        found = await run(*reload, "--dry-run")
        assert found.exit_code == 0
        assert f"would be in use, live: {NET}client_hosts is 10.0.0.0/8, was unset\n" in found.stdout
        assert found.stdout.endswith("Dry run: The new configuration would be in use.\n")
        assert broker.settings.network.max_connections != 70

        found = await run(*reload)
        assert found.exit_code == 0
        assert f"now in use, engine: {NET}max_connections is 70, was unset\n" in found.stdout
        assert f"now in use, new content: {authority.ca.parent / 'broker.example.net.pem'}\n" in found.stdout
        assert broker.settings.network.max_connections == 70

        change(config, websocket_port=free_port(), system__user="root", system__password="hidden")
        found = await run(*reload, "--json")
        report = json.loads(found.stdout)
        assert (found.exit_code, report["result"]) == (3, "partial")
        assert [each["key"] for each in report["pending"]] == [f"{NET}websocket_port"]
        changed = {each["key"]: each for each in report["changes"]}
        assert set(changed) == {f"{NET}system.user", f"{NET}system.password"}
        assert changed[f"{NET}system.user"]["class"] == "live"
        assert "hidden" not in found.stdout + caplog.text
        (trigger,) = report["triggers"]
        assert (trigger["kind"], trigger["who"]) == ("command", str(Peer(os.geteuid())))

        change(config, client_port="many")
        found = await run(*reload)
        assert found.exit_code == 1
        assert "refuse: " in found.stdout
        assert found.stdout.endswith("Refused, nothing has changed.\n")
        status = await run("status", "--config", config)
        assert f"by command of {Peer(os.geteuid())}: refused, nothing has changed\n" in status.stdout
        assert "Health: The broker works but needs attention: the last reload was refused: " in status.stdout
        assert broker.registry.get_sample_value("choria_broker_reload_failed", {"identity": IDENTITY}) == 1
        await settled(before)
    acts = [record.__dict__ for record in caplog.records if record.name == "choria_broker.audit"]
    assert [each["act"] for each in acts] == ["reload"] * 4
    assert {each["by"] for each in acts} == {f"command of {Peer(os.geteuid())}"}
    gone = await run(*reload)
    assert (gone.exit_code, "no broker runs with" in gone.stderr) == (1, True)


async def test_a_broker_of_another_version_is_called_that(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_decoder", lambda: msgspec.json.Decoder(StatusRequest | DecisionRequest))
    async with NetworkBroker.from_file(config):
        found = await run("reload", "--config", config)
    assert found.exit_code == 1
    assert "it has another version than this command" in found.stderr


async def test_the_first_peer_and_the_last_one_wait_for_a_restart(tmp_path: Path, authority: Authority) -> None:
    port = free_port()
    config = configuration(tmp_path, authority, network__peer_port=port)
    members = f"{IDENTITY}:{port}, other.example.net:{port}"
    async with NetworkBroker.from_file(config) as broker:
        change(config, peers=members, max_connections=70)
        await broker.reload()
        assert [each.key for each in pending(broker._in_force.state)] == [f"{NET}peers"]
        assert not broker.settings.network.cluster.joined
        assert broker.settings.network.max_connections == 70
        change(config, peers="")
        await broker.reload()
        assert pending(broker._in_force.state) == ()
    change(config, peers=members)
    async with NetworkBroker.from_file(config) as broker:
        change(config, peers="", max_connections=80)
        await broker.reload()
        assert [each.key for each in pending(broker._in_force.state)] == [f"{NET}peers"]
        assert broker.settings.network.cluster.joined
        assert broker.settings.network.max_connections == 80
