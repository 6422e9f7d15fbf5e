"""Classes of trouble with features: the settings that have each, and what there is to say about it."""

from __future__ import annotations

import dataclasses

from choria_broker.settings.finding_codes import Severity
from support.minting import ORGANIZATION, hex_of

NET = "plugin.choria.network."
SEC = "plugin.security."
REFUSE, SKIP, WARN, INFO = Severity.REFUSE, Severity.SKIP, Severity.WARN, Severity.INFO
KEY = hex_of(ORGANIZATION)


@dataclasses.dataclass(frozen=True)
class Row:
    """One class of trouble.

    Attributes:
        name: what is wrong.
        settings: as for ``testbed.configuration``; ``FOLDER`` stands for the folder of the test, ``PORT`` for a port.
        told: severity, code and key of each finding that there must be, and no others but remarks.
        says: words that the findings have in them.
        lenient: the program reads it the lenient way when asked to, and starts.
    """

    name: str
    settings: dict[str, str]
    told: tuple[tuple[Severity, str, str], ...]
    says: tuple[str, ...] = ()
    lenient: bool = False

    @property
    def starts(self) -> bool:
        """The broker starts in spite of it."""
        return all(severity is not REFUSE for severity, _, _ in self.told)


CHORIA = {
    "plugin__security__provider": "choria",
    "plugin__security__issuer__names": "choria",
    "plugin__security__issuer__choria__public": KEY,
    "plugin__security__choria__token_file": "FOLDER/broker.jwt",
    "plugin__security__choria__seed_file": "FOLDER/broker.seed",
}
"""The choria provider as it should be, but for certificate and key."""


def net(**settings: str) -> dict[str, str]:
    """Write settings of the network broker."""
    return {f"network__{name}": text for name, text in settings.items()}


def remote(kind: str, **settings: str) -> dict[str, str]:
    """Write a remote called ``hub``."""
    listed = net(**{f"{kind}_remotes": "hub"}) | (net(gateway_port="PORT") if kind == "gateway" else {})
    return listed | net(**{f"{kind}_remote__hub__{name}": text for name, text in settings.items()})


PROVIDERS = (
    Row(
        "every feature is off",
        {"plugin__choria__broker_network": "false"},
        ((REFUSE, "nothing-enabled", "plugin.choria.broker_network"),),
    ),
    Row(
        "every feature is off because a word is misspelt",
        {"plugin__choria__broker_network": "enabled"},
        (
            (REFUSE, "bad-boolean", "plugin.choria.broker_network"),
            (REFUSE, "nothing-enabled", "plugin.choria.broker_network"),
        ),
        says=("plugin.choria.broker_network = enabled",),
    ),
    Row(
        "an unknown security provider",
        {"plugin__security__provider": "vault"},
        ((REFUSE, "bad-provider", f"{SEC}provider"),),
        says=("vault",),
    ),
    Row(
        "TLS files that are not there",
        {
            "plugin__security__file__certificate": "FOLDER/no.pem",
            "plugin__security__file__key": "FOLDER/no.key",
            "plugin__security__file__ca": "FOLDER/no-ca.pem",
        },
        tuple((REFUSE, "tls-file-missing", f"{SEC}file.{part}") for part in ("certificate", "key", "ca")),
        says=("no.pem", "no.key", "no-ca.pem"),
    ),
    Row(
        "a key of another certificate",
        {"plugin__security__file__key": "FOLDER/other.example.net.key"},
        ((REFUSE, "tls-key-mismatch", f"{SEC}file.key"),),
    ),
    Row(
        "no puppet to ask for its files",
        {"plugin__security__provider": "puppet"},
        ((REFUSE, "no-ssldir", "plugin.choria.ssldir"),),
        says=("set plugin.choria.ssldir",),
    ),
    Row(
        "the choria provider without a certificate",
        CHORIA,
        tuple((REFUSE, "no-tls-file", f"{SEC}choria.{part}") for part in ("certificate", "key")),
    ),
)

TRUST = (
    Row(
        "issuers and signers together",
        {
            "plugin__security__issuer__names": "choria",
            "plugin__security__issuer__choria__public": KEY,
            "network__client_signer_cert": KEY,
        },
        ((REFUSE, "issuer-with-signers", f"{NET}client_signer_cert"),),
        says=("cannot set trusted client signers using plugin.choria.network.client_signer_cert when an issuer is",),
    ),
    Row(
        "an issuer without a key",
        {"plugin__security__issuer__names": "acme"},
        ((REFUSE, "no-issuer-key", f"{SEC}issuer.acme.public"),),
    ),
    Row(
        "an issuer with a malformed key",
        {"plugin__security__issuer__names": "acme", "plugin__security__issuer__acme__public": "c0ffee"},
        ((REFUSE, "bad-issuer-key", f"{SEC}issuer.acme.public"),),
    ),
    Row(
        "files of signers that are not there",
        net(client_signer_cert="FOLDER/one.pem, FOLDER/two.pem", server_signer_cert="FOLDER/three.pem"),
        (
            (REFUSE, "signer-missing", f"{NET}client_signer_cert"),
            (REFUSE, "signer-missing", f"{NET}client_signer_cert"),
            (REFUSE, "signer-missing", f"{NET}server_signer_cert"),
        ),
        says=("one.pem", "two.pem", "three.pem"),
    ),
    Row(
        "a signer of provisioning tokens and no password",
        net(provisioning__signer_cert="FOLDER/signer.pem"),
        ((WARN, "half-provisioning", f"{NET}provisioning.signer_cert"),),
        says=("nodes with provisioning tokens are refused",),
    ),
    Row(
        "a password of the provisioner and no signer",
        net(provisioning__client_password="s3cret"),
        ((WARN, "half-provisioning", f"{NET}provisioning.client_password"),),
        says=("only the provisioner can log in",),
    ),
    Row(
        "a password of the provisioner on a network with issuers, where that is all",
        net(provisioning__client_password="s3cret")
        | {"plugin__security__issuer__names": "choria", "plugin__security__issuer__choria__public": KEY},
        (),
    ),
    Row(
        "a system user without a password",
        net(system__user="admin"),
        ((REFUSE, "half-login", f"{NET}system.user"),),
        lenient=True,
    ),
    Row(
        "a system password without a user",
        net(system__password="s3cret"),
        ((REFUSE, "half-login", f"{NET}system.password"),),
        lenient=True,
    ),
)

LINKS = (
    Row(
        "a malformed peer",
        net(peers="broker2.example.net:5222, broker3.example.net"),
        (
            (INFO, "peer-unresolvable", f"{NET}peers"),
            (WARN, "not-in-peers", f"{NET}peers"),
            (SKIP, "bad-peer", f"{NET}peers"),
        ),
    ),
    Row(
        "peers of which none can be read",
        net(peers="broker3.example.net:0", peer_port="PORT"),
        ((WARN, "not-in-peers", f"{NET}peers"), (SKIP, "bad-peer", f"{NET}peers")),
    ),
    Row(
        "a peer whose name is not known",
        net(peers="nowhere.example.net:5222", peer_port="PORT"),
        ((INFO, "peer-unresolvable", f"{NET}peers"), (WARN, "not-in-peers", f"{NET}peers")),
        says=("nowhere.example.net",),
    ),
    Row(
        "a remote that is not in the list",
        net(gateway_remote__tokyo__urls="tokyo.example.net:7222", leafnode_remote__site__url="hub.example.net:7422"),
        (
            (WARN, "unlisted-name", f"{NET}gateway_remote.tokyo.urls"),
            (WARN, "unlisted-name", f"{NET}leafnode_remote.site.url"),
        ),
    ),
    Row(
        "a leafnode remote without an address",
        remote("leafnode", account="choria"),
        ((SKIP, "remote-without-url", f"{NET}leafnode_remote.hub.url"),),
    ),
    Row(
        "a gateway remote without an address",
        remote("gateway"),
        ((SKIP, "remote-without-url", f"{NET}gateway_remote.hub.urls"),),
    ),
    Row(
        "a leafnode remote with a bad address",
        remote("leafnode", url="hub.example.net"),
        ((SKIP, "bad-url", f"{NET}leafnode_remote.hub.url"),),
    ),
    Row(
        "a gateway remote with a bad address",
        remote("gateway", urls="hub.example.net:port"),
        ((SKIP, "bad-url", f"{NET}gateway_remote.hub.urls"),),
    ),
    Row(
        "a leafnode remote with a TLS file that is not there",
        remote("leafnode", url="hub.example.net:7422", tls__ca="FOLDER/no-ca.pem"),
        ((SKIP, "remote-file-missing", f"{NET}leafnode_remote.hub.tls.ca"),),
    ),
    Row(
        "a gateway remote with a key of another certificate",
        remote(
            "gateway",
            urls="hub.example.net:7222",
            tls__cert="FOLDER/broker.example.net.pem",
            tls__key="FOLDER/other.example.net.key",
        ),
        ((SKIP, "tls-key-mismatch", f"{NET}gateway_remote.hub.tls.key"),),
    ),
    Row(
        "a leafnode remote in an account that there is not",
        remote("leafnode", url="hub.example.net:7422", account="NOBODYS"),
        ((SKIP, "unknown-account", f"{NET}leafnode_remote.hub.account"),),
        says=("there is no account NOBODYS",),
    ),
    Row(
        "a gateway port without remotes",
        net(gateway_port="PORT"),
        ((WARN, "half-gateway", f"{NET}gateway_port"),),
    ),
    Row(
        "gateway remotes without a port",
        net(gateway_remotes="hub", gateway_remote__hub__urls="hub.example.net:7222"),
        ((WARN, "half-gateway", f"{NET}gateway_remotes"),),
    ),
    Row(
        "gateways and streams without peers",
        remote("gateway", urls="hub.example.net:7222")
        | net(stream__store="FOLDER/store", stream__manage_streams="false"),
        ((REFUSE, "gateway-streams-without-peers", f"{NET}stream.store"),),
        says=("list this broker and one more in plugin.choria.network.peers",),
    ),
)

FEATURES = (
    Row(
        "mappings without a part, and with a bad one",
        net(
            mapping__names="half, wrong, good",
            mapping__half__source="a",
            mapping__wrong__source="b.*",
            mapping__wrong__destination="c.$2",
            mapping__good__source="d",
            mapping__good__destination="e",
        ),
        (
            (SKIP, "bad-mapping", f"{NET}mapping.half.destination"),
            (SKIP, "bad-mapping", f"{NET}mapping.wrong.destination"),
        ),
        says=("mapping half is ignored", "mapping wrong is ignored"),
    ),
    Row(
        "websockets that cannot be set up",
        net(websocket_port="PORT", websocket_advertise="ws.example.net"),
        ((REFUSE, "bad-value", f"{NET}websocket_advertise"),),
    ),
    Row(
        "a websocket port that is another one's",
        net(client_port="PORT", websocket_port="PORT"),
        ((REFUSE, "port-clash", f"{NET}websocket_port"),),
        says=("plugin.choria.network.client_port and plugin.choria.network.websocket_port are both port",),
    ),
    Row(
        "a store of streams that cannot be written",
        net(stream__store="FOLDER/broker.conf", stream__manage_streams="false"),
        ((REFUSE, "store-not-writable", f"{NET}stream.store"),),
    ),
)

ROWS = (*PROVIDERS, *TRUST, *LINKS, *FEATURES)
