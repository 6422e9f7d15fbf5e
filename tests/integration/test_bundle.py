"""One file for a ticket about a broker that runs: all of it, and nothing secret."""

from __future__ import annotations

import asyncio
import json
import tarfile
from pathlib import Path

import aiohttp
from click.testing import CliRunner

from choria_broker.broker import NetworkBroker
from choria_broker.cli import main
from support.leaks import leaks
from support.minting import HOLDER, ORGANIZATION, encoded, hex_of, mint
from support.minting import client as claims
from support.nats_socket import wire
from support.settled import recent
from support.testbed import Authority, configuration, free_port

DEADLINE = 60.0


def texts(file: Path) -> dict[str, str]:
    """Read the parts of a bundle."""
    with tarfile.open(file) as archive:
        opened = {each.name.partition("/")[2]: archive.extractfile(each) for each in archive.getmembers()}
        return {name: part.read().decode() for name, part in opened.items() if part}


async def download(broker: NetworkBroker) -> bytes:
    """Have the dashboard make a bundle, and make sure that pages of others cannot."""
    async with aiohttp.ClientSession() as session:
        page = f"http://127.0.0.1:{broker.settings.statistics.port}/ui/bundle.tar.gz"
        async with session.post(page, headers={"Origin": page.removesuffix("/ui/bundle.tar.gz")}) as answer:
            assert answer.status == 200
            assert answer.headers["Content-Type"] == "application/gzip"
            named = answer.headers["Content-Disposition"]
            assert named.startswith('attachment; filename="choria-broker-broker.example.net-20')
            content = await answer.read()
        elsewhere = ({"Sec-Fetch-Site": "cross-site"}, {"Host": "evil.example"}, {"Origin": "null"})
        for headers in (*elsewhere, {"Origin": "http://evil.example"}):
            async with session.post(page, headers=headers) as answer:
                assert answer.status == 403, headers
        # Pages of others can have a browser ask in this way without telling that it was they.
        async with session.get(page) as answer:
            assert answer.status == 405
    return content


async def test_it_has_everything_and_no_secret(tmp_path: Path, authority: Authority) -> None:
    token, output = mint(claims(iat=1_700_000_000, nbf=1_700_000_000, exp=4_102_444_800)), tmp_path / "bundle.tar.gz"
    log = tmp_path / "broker.log"
    log.write_text(f"a line\nwith {token} and syspass\n")
    config = configuration(
        tmp_path,
        authority,
        logfile=log,
        plugin__choria__stats_port=free_port(),
        plugin__security__issuer__names="choria",
        plugin__security__issuer__choria__public=hex_of(ORGANIZATION),
        network__provisioning__client_password="provpass",
        network__system__user="system",
        network__system__password="syspass",
    )
    async with (
        asyncio.timeout(2 * DEADLINE),
        NetworkBroker.from_file(config) as broker,
        wire(broker.ports.client, authority.context()) as peer,
    ):
        await peer.connect(jwt=token, auth_token=token, sig=encoded(HOLDER.sign(peer.nonce.encode())))
        assert await recent(broker)
        arguments = ["bundle", "--config", str(config), "--output", str(output), "--json"]
        result = await asyncio.to_thread(CliRunner().invoke, main, arguments)
        downloaded = tmp_path / "downloaded.tar.gz"
        downloaded.write_bytes(await download(broker))
    assert result.exit_code == 0, result.output
    other = texts(downloaded)
    assert set(other) == set(texts(output))
    assert not leaks("".join(other.values()), token)
    found = texts(output)
    assert set(found) >= {
        "check.json",
        "configuration.txt",
        "status.json",
        "decisions.json",
        "connections.json",
        "log.txt",
        "pages/varz.txt",
        "pages/connz.txt",
        "pages/choria-prometheus.txt",
    }
    assert json.loads(found["status.json"])["identity"] == "broker.example.net"
    assert json.loads(found["decisions.json"])[0]["connection_id"]
    assert json.loads(found["pages/varz.txt"])["server_name"] == "broker.example.net"
    assert not leaks("".join(found.values()) + result.output, token)
