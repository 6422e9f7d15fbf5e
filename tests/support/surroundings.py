"""A machine as the documentation supposes it: certificates and configurations where the pages say they are."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path

from choria_broker.config.surroundings.discovery import Discovery
from choria_broker.config.surroundings.facts import SrvAnswer
from support.nats_server import Operator
from support.pages import blocks
from support.stores import copy_of_nscs
from support.testbed import Authority

BROKERS = ("broker.example.net", "broker1.example.net")
PROGRAMS = ("bob.mcollective", "node1.example.net")


@dataclasses.dataclass(frozen=True, slots=True)
class Machine:
    """Folders that stand for those of a real machine.

    Attributes:
        root: where everything lies.
    """

    root: Path

    @property
    def config(self) -> Path:
        """Stands for ``/etc/choria/broker.conf``."""
        return self.root / "etc/choria/broker.conf"

    def adapt(self, text: str) -> str:
        """Replace the paths of a real machine by those of this one."""
        for real, here in self._paths():
            text = text.replace(real, here)
        return text

    def printed(self, page: Path, number: int, places: Mapping[str, str]) -> Path:
        """Write a configuration of a page, as it is printed but for paths, addresses and ports.

        Args:
            page: of the documentation.
            number: which of its configurations, counted from 0.
            places: what stands in it, and what is to stand there.
        """
        text = [block.text for block in blocks(page) if block.language == "ini"][number]
        for place, here in places.items():
            text = text.replace(place, here)
        path = self.root / f"{page.stem}.{number}.conf"
        more = "plugin.choria.network.listen_address = 127.0.0.1\nplugin.choria.network.client_port = 0\n"
        path.write_text(self.adapt(text) + more, encoding="utf-8")
        return path

    def restore(self, text: str) -> str:
        """Replace the paths of this machine by those of a real one, and leave out what is said about its limits."""
        for real, here in self._paths():
            text = text.replace(here, real)
        return without_limits(text)

    def _paths(self) -> tuple[tuple[str, str], ...]:
        return (
            ("/etc/choria", str(self.root / "etc/choria")),
            ("/etc/puppetlabs/puppet/ssl", str(self.root / "puppet")),
            ("/var/lib/choria-broker", str(self.root / "store")),
            (" ssl/", f" {self.root / 'etc/choria/ssl'}/"),
        )

    def discovery(self) -> Discovery:
        """Ways to find things out that give what a machine with Puppet's certificates gives; nothing is asked.

        Each host has an address of its own.
        """
        known: dict[str, str] = {}
        return Discovery(
            hostname=lambda: BROKERS[0],
            addresses=lambda host: (known.setdefault(host, f"192.0.2.{len(known) + 1}"),),
            is_local=lambda _address: False,
            srv=lambda record, _seconds: SrvAnswer(record, problem="no such record"),
            run=lambda _command, _seconds: "",
            puppet_directory=self.root / "puppet",
            root=True,
        )


def without_limits(text: str) -> str:
    """Leave out what check says about limits of the machine that runs the tests."""
    lines = text.splitlines(keepends=True)
    return "".join(
        line for line in lines if not line.startswith("warn: default: plugin.choria.network.max_connections")
    )


def build(root: Path) -> Machine:
    """Make the certificates."""
    machine = Machine(root)
    ssl = root / "etc/choria/ssl"
    ssl.mkdir(parents=True)
    (root / "store").mkdir()
    Operator("OPS").user("OPS").credentials(root / "etc/choria/hq.creds")
    copy_of_nscs(root / "etc/choria")
    authority = Authority(ssl)
    for folder in ("certs", "private_keys"):
        (root / "puppet" / folder).mkdir(parents=True)
    shutil.copy(authority.ca, root / "puppet/certs/ca.pem")
    for name in (*BROKERS, *PROGRAMS):
        identity = authority.issue(name)
        shutil.copy(identity.certificate, root / "puppet/certs" / identity.certificate.name)
        shutil.copy(identity.key, root / "puppet/private_keys" / identity.certificate.name)
    return machine
