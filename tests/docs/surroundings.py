"""A machine as the documentation supposes it: certificates and configurations where the pages say they are."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

from choria_broker.config.discovery import Discovery
from choria_broker.config.facts import SrvAnswer
from stock import Operator
from stores import copy_of_nscs
from testbed import Authority

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

    def restore(self, text: str) -> str:
        """Replace the paths of this machine by those of a real one."""
        for real, here in self._paths():
            text = text.replace(here, real)
        return text

    def _paths(self) -> tuple[tuple[str, str], ...]:
        return (
            ("/etc/choria", str(self.root / "etc/choria")),
            ("/etc/puppetlabs/puppet/ssl", str(self.root / "puppet")),
            ("/var/lib/choria-broker", str(self.root / "store")),
            (" ssl/", f" {self.root / 'etc/choria/ssl'}/"),
        )

    def discovery(self) -> Discovery:
        """Ways to find things out that give what a machine with Puppet's certificates gives; nothing is asked."""
        return Discovery(
            hostname=lambda: BROKERS[0],
            addresses=lambda _host: ("192.0.2.1",),
            is_local=lambda _address: False,
            srv=lambda record, _seconds: SrvAnswer(record, problem="no such record"),
            run=lambda _command, _seconds: "",
            puppet_directory=self.root / "puppet",
            root=True,
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
