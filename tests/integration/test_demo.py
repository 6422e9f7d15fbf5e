"""The demonstration that ``make run`` starts."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

from click.testing import CliRunner

from choria_broker.broker import NetworkBroker
from choria_broker.cli import main
from choria_broker.demo import CLIENT, lay_out
from support.settled import recent
from support.testbed import client, free_port


def test_it_makes_a_network_that_passes_the_check(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    ports = ["--port", str(free_port()), "--stats-port", str(free_port())]
    made = CliRunner().invoke(main, ["demo", "--no-start", "--folder", str(folder), *ports])
    assert made.exit_code == 0
    assert f"check --config {folder}/broker.conf" in made.output
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert CliRunner().invoke(main, ["check", "--config", str(folder / "broker.conf")]).exit_code == 0


def test_a_running_demonstration_keeps_its_certificates(tmp_path: Path) -> None:
    CliRunner().invoke(main, ["demo", "--no-start", "--folder", str(tmp_path)])
    before = (tmp_path / "ca.pem").read_bytes() if (tmp_path / "ca.pem").exists() else b""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = CliRunner().invoke(main, ["demo", "--no-start", "--folder", str(tmp_path), "--port", port])
    assert result.exit_code == 1
    assert f"port {port} is in use" in result.output
    assert (tmp_path / "ca.pem").read_bytes() == before if before else not (tmp_path / "ca.pem").exists()


async def test_strict_programs_accept_its_certificates(tmp_path: Path) -> None:
    demo = lay_out(tmp_path, port=free_port(), stats_port=free_port())
    context = ssl.create_default_context(cafile=str(demo.ca))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_cert_chain(demo.client_certificate, demo.client_key)
    async with NetworkBroker.from_file(demo.config) as broker, client(broker, context):
        assert (await recent(broker))[-1].common_name == CLIENT
