"""The reference vectors, turned into the broker's own types."""

from __future__ import annotations

import dataclasses
import ipaddress
import json
from pathlib import Path
from typing import Any

from choria_broker.access.build import policy_from
from choria_broker.access.policy import Policy
from choria_broker.access.request import ConnectionKind, ConnectRequest, TlsState
from choria_broker.security.signer_files import signer_file_names
from choria_broker.settings.broker import Settings
from choria_broker.settings.network import Network, Provisioning, SystemUser
from choria_broker.settings.secret import Secret
from choria_broker.settings.security import Issuer, Security
from choria_broker.settings.tls import Tls
from choria_broker.values import replace

VECTORS = Path(__file__).parents[1] / "vectors"

NOW = 1_800_000_000.0
"""After everything the vectors issued in the past and before everything they put into the future."""

KEYS: dict[str, Any] = json.loads((VECTORS / "keys.json").read_text())


@dataclasses.dataclass(frozen=True)
class VectorCase:
    """One vector."""

    name: str
    settings: Settings
    policy: Policy
    request: ConnectRequest
    expect: dict[str, Any]


def with_files(settings: Settings) -> Settings:
    """Read the signer files some settings name."""
    files = {name: path.read_bytes() if (path := Path(name)).exists() else None for name in signer_file_names(settings)}
    return replace(settings, signer_files=files)


def settings_of(broker: dict[str, Any]) -> Settings:
    """Turn the ``broker`` part of a vector into settings."""

    def entry(text: str) -> str:
        return str(VECTORS / text.removeprefix("file:")) if text.startswith("file:") else text

    signer = broker.get("provisioning_signer_cert")
    password = broker.get("provisioning_client_password")
    user = broker.get("system_user")
    return Settings(
        source=Path("/etc/choria/broker.conf"),
        identity="broker.example.net",
        tls=Tls(enabled=broker["tls"], everywhere=broker["tls"], verify_clients=True, files=None),
        network=Network(
            client_hosts=tuple(ipaddress.ip_network(text, strict=False) for text in broker.get("client_hosts", ())),
            deny_server_connections=broker.get("deny_server_connections", False),
            client_signers=tuple(map(entry, broker.get("client_signer_cert", ()))),
            server_signers=tuple(map(entry, broker.get("server_signer_cert", ()))),
            provisioning=Provisioning(
                client_password=Secret(password) if password else None,
                signer=Path(entry(signer)) if signer else None,
                provisioner_without_token=broker.get("provisioner_without_token", False),
            ),
            system_user=SystemUser(user=user, password=Secret(broker["system_password"])) if user else None,
        ),
        security=Security(
            issuers=tuple(Issuer(name=name, public_key=key) for name, key in broker.get("issuers", {}).items()),
            choria_ca=broker.get("choria_ca", False),
        ),
    )


def request_of(connection: dict[str, Any]) -> ConnectRequest:
    """Turn the ``connection`` part of a vector into a request."""
    states = {
        "plain": TlsState.NONE,
        "anonymous": TlsState.ANON,
        "mtls": TlsState.MTLS,
        "inprocess": TlsState.NONE,
    }
    connect = connection["connect"]
    return ConnectRequest(
        kind=ConnectionKind.IN_PROCESS if connection["tls"] == "inprocess" else ConnectionKind.CLIENT,
        tls=states[connection["tls"]],
        address=connection["remote_ip"],
        nonce=connection["nonce"],
        user=connect.get("user", ""),
        password=connect.get("pass", ""),
        token=connect.get("auth_token", ""),
        signature=connect.get("sig", ""),
        jwt=connect.get("jwt", ""),
    )


def _load(path: Path) -> VectorCase:
    raw = json.loads(path.read_text())
    settings = with_files(settings_of(raw["broker"]))
    return VectorCase(
        name=raw["id"],
        settings=settings,
        policy=policy_from(settings),
        request=request_of(raw["connection"]),
        expect=raw["expect"],
    )


CASES = tuple(_load(path) for path in sorted(VECTORS.glob("*-[0-9][0-9]-*.json")))

ACCEPTED = tuple(case for case in CASES if case.expect["allowed"])

BY_NAME = {case.name: case for case in CASES}
