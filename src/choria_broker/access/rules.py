"""The rules that let connections in or refuse them: one table, for the decision, the manual and explanations."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

from choria_broker.security.tokens import Fault


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        name: stable kebab-case name, shown in logs, metrics and explanations.
        accepts: True when the rule lets a connection in, False when it refuses one.
        sentence: what the rule says.
        remedy: what an operator can do about a refusal, empty for rules that accept.
    """

    name: str
    accepts: bool
    sentence: str
    remedy: str = ""


def _accepts(name: str, sentence: str) -> Rule:
    return Rule(name=name, accepts=True, sentence=sentence)


def _refuses(name: str, sentence: str, remedy: str) -> Rule:
    return Rule(name=name, accepts=False, sentence=sentence, remedy=remedy)


TLS_REQUIRED = _refuses(
    "tls-required",
    "A broker that uses TLS refuses connections in clear text.",
    "Let the program connect with TLS.",
)
ADDRESS_UNKNOWN = _refuses(
    "address-unknown",
    "A connection that presents a token must have a known address.",
    "Find out why the engine or a proxy in front of it does not report the address of the peer.",
)

PROVISIONER_DISABLED = _refuses(
    "provisioner-disabled",
    "User provisioner exists only on a broker with TLS and a provisioning password.",
    "Set plugin.choria.network.provisioning.client_password and keep TLS on.",
)
PROVISIONER_PASSWORD = _refuses(
    "provisioner-password",
    "User provisioner must send the provisioning password.",
    "Give the provisioner the password in plugin.choria.network.provisioning.client_password.",
)
PROVISIONER_TOKEN_REQUIRED = _refuses(
    "provisioner-token-required",
    "With organization issuers the provisioner needs a client token besides its password.",
    "Give the provisioner a client token, or set plugin.choria.network.provisioning.provisioner_without_token.",
)
PROVISIONER_PERMISSION = _refuses(
    "provisioner-permission",
    "The provisioner's token must carry the provisioner permission.",
    "Issue the token again with the provisioner permission.",
)
PROVISIONER_CERTIFICATE_REQUIRED = _refuses(
    "provisioner-certificate-required",
    "Without organization issuers the provisioner must present a certificate the broker verifies.",
    "Give the provisioner a certificate signed by the broker's CA.",
)
PROVISIONER = _accepts(
    "provisioner",
    "User provisioner with its password and what else the network asks for joins account provisioning without limits.",
)

SYSTEM_TLS_REQUIRED = _refuses(
    "system-tls-required",
    "The system user is not accepted in clear text.",
    "Connect as the system user with TLS.",
)
SYSTEM_TOKEN_REQUIRED = _refuses(
    "system-token-required",
    "Without a verified certificate the system user needs a client token.",
    "Present a certificate signed by the broker's CA, or a client token with the system_user permission.",
)
SYSTEM_PERMISSION = _refuses(
    "system-permission",
    "The token of the system user must carry the system_user or org_admin permission.",
    "Issue the token again with the system_user permission.",
)
SYSTEM_PASSWORD = _refuses(
    "system-password",
    "The system user must send the configured password.",
    "Use the password in plugin.choria.network.system.password; while that is empty nobody can log in.",
)
SYSTEM_USER = _accepts(
    "system-user",
    "The system user with its password, and a verified certificate or a token that permits it, joins account system.",
)

CLIENT_TOKEN = _accepts(
    "client-token",
    "A client whose token is valid and whose nonce signature proves that it holds the key gets what the token permits.",
)
CLIENT_TOKEN_OUTSIDE_CLIENT_HOSTS = _accepts(
    "client-token-outside-client-hosts",
    "A client with a valid token on a host outside client_hosts gets what the token permits except fleet requests.",
)
SERVER_TOKEN = _accepts(
    "server-token",
    "A server whose token is valid and whose nonce signature proves that it holds the key gets what the token permits.",
)
SERVER_DENIED = _accepts(
    "server-denied",
    "While servers are denied, a server with a valid token stays connected and may neither publish nor subscribe.",
)
TOKEN_KIND = _refuses(
    "token-kind",
    "Only clients may present tokens; leafnodes may not.",
    "Give the leafnode a certificate signed by the broker's CA and no token.",
)
TOKEN_NONCE = _refuses(
    "token-nonce",
    "Whoever presents a token must sign the server's nonce with the private key that belongs to it.",
    "Check that the program uses the seed file that belongs to the token.",
)
TOKEN_MALFORMED = _refuses(
    Fault.MALFORMED,
    "A token must be a compact JSON web token of three parts.",
    "Check that the token file holds one token and nothing else.",
)
TOKEN_ALGORITHM = _refuses(
    Fault.ALGORITHM,
    "A token must be signed with EdDSA, RS256, RS384 or RS512.",
    "Issue the token again with an ed25519 or RSA key.",
)
TOKEN_ORGANIZATION = _refuses(
    Fault.ORGANIZATION,
    "With organization issuers a token must name, in ou, an issuer the broker knows.",
    "Issue the token with the right organization, or add the issuer to plugin.security.issuer.names.",
)
TOKEN_NO_SIGNER = _refuses(
    Fault.NO_SIGNER,
    "Tokens are believed only when the broker knows who may sign them.",
    "Set plugin.security.issuer.names, or plugin.choria.network.client_signer_cert, server_signer_cert or"
    " provisioning.signer_cert, whichever the token needs; check that the files can be read.",
)
TOKEN_CLAIMS = _refuses(
    Fault.CLAIMS,
    "The claims of a token must have the right types, and those that name the holder must not be empty.",
    "Issue the token again with the choria command line.",
)
TOKEN_SIGNATURE = _refuses(
    Fault.SIGNATURE,
    "A token must be signed by a key the broker trusts for that kind of token.",
    "Compare the key that issued the token with the issuers and signers in the broker's configuration.",
)
TOKEN_CHAIN = _refuses(
    Fault.CHAIN,
    "A token made by a chain issuer must prove that an organization issuer vouches for that chain issuer.",
    "Check that the login service or provisioner uses an issuer token signed by the organization.",
)
TOKEN_EXPIRED = _refuses(
    Fault.EXPIRED,
    "A token is not accepted after it has expired.",
    "Get a new token; check the clocks.",
)
TOKEN_ISSUER_EXPIRED = _refuses(
    Fault.ISSUER_EXPIRED,
    "A token made by a chain issuer is not accepted after the chain issuer's own token has expired.",
    "Renew the token of the login service or provisioner, then get a new token.",
)
TOKEN_NOT_YET_VALID = _refuses(
    Fault.NOT_YET_VALID,
    "A token is not accepted before it is valid.",
    "Check the clocks of the broker and of the machine that issued the token.",
)
TOKEN_ISSUED_IN_FUTURE = _refuses(
    Fault.FUTURE,
    "A token that was issued in the future is not accepted.",
    "Check the clocks of the broker and of the machine that issued the token.",
)
TOKEN_PURPOSE = _refuses(
    Fault.PURPOSE,
    "A token is accepted only for the purpose it was issued for.",
    "Use a client token for clients, a server token for servers, a provisioning token for nodes to be provisioned.",
)

SERVERS_REFUSED = _refuses(
    "servers-refused",
    "Where client_anon_tls is set, servers are refused, also those with tokens.",
    "Let servers connect to a broker without plugin.choria.network.client_anon_tls.",
)
CLIENT_TOKEN_REQUIRED = _refuses(
    "client-token-required",
    "Where client_anon_tls is set, only clients with tokens get in; certificates do not count.",
    "Get a client token, or remove plugin.choria.network.client_anon_tls to let certificates count.",
)

CERTIFICATE_REQUIRED = _refuses(
    "certificate-required",
    "A connection without a token must present a certificate the broker verifies.",
    "Give the program a certificate signed by the broker's CA, or a token.",
)
IN_PROCESS = _accepts(
    "in-process",
    "The broker's own connections join account choria without limits.",
)
MTLS_PUBSUB_ONLY = _accepts(
    "mtls-pubsub-only",
    "With organization issuers and a CA, a verified certificate alone gives everything except Choria's own traffic.",
)
MTLS_TOKEN_REQUIRED = _refuses(
    "mtls-token-required",
    "With organization issuers and no CA of their own, a certificate alone is not enough.",
    "Give the program a token, or set plugin.security.choria.ca to let certificates use the broker for other traffic.",
)
MTLS = _accepts(
    "mtls",
    "Without organization issuers a verified certificate gives account choria without limits.",
)
MTLS_OUTSIDE_CLIENT_HOSTS = _accepts(
    "mtls-outside-client-hosts",
    "A verified certificate from a host outside client_hosts gives what fleet servers need and no fleet requests.",
)
LEAFNODE_DENIED = _refuses(
    "leafnode-denied",
    "While servers are denied, a leafnode from outside client_hosts is refused: permissions do not keep it from "
    "acknowledging messages of streams.",
    "List the leafnode's address in plugin.choria.network.client_hosts.",
)
MTLS_DENIED = _accepts(
    "mtls-denied",
    "While servers are denied, a connection from outside client_hosts may neither publish nor subscribe.",
)

PROVISIONING_DISABLED = _refuses(
    "provisioning-disabled",
    "Nodes wait for provisioning only on brokers that have account provisioning.",
    "Set plugin.choria.network.provisioning.client_password and a signer of provisioning tokens.",
)
PROVISIONEE_TOKEN_REQUIRED = _refuses(
    "provisionee-token-required",
    "A node that waits for provisioning must present a provisioning token.",
    "Give the node a provisioning token.",
)
PROVISIONEE_KIND = _refuses(
    "provisionee-kind",
    "Only a client connection with TLS and without a verified certificate can wait for provisioning.",
    "Let nodes that wait for provisioning connect to the client port.",
)
PROVISIONEE = _accepts(
    "provisionee",
    "A node with a valid provisioning token joins account provisioning and may do what provisioning takes.",
)

UNVERIFIED = _accepts(
    "unverified",
    "Where unverified_account is set, a client that presents nothing at all is placed in that account.",
)
UNVERIFIED_OUTSIDE_CLIENT_HOSTS = _accepts(
    "unverified-outside-client-hosts",
    "An unverified client from a host outside client_hosts gets what fleet servers need and no fleet requests.",
)
UNVERIFIED_DENIED = _accepts(
    "unverified-denied",
    "While servers are denied, an unverified client from outside client_hosts may neither publish nor subscribe.",
)

ACCOUNT_ABSENT = _refuses(
    "account-absent",
    "Nobody is placed in an account the broker does not have.",
    "Declare the account in plugin.choria.network.accounts, or report this as a fault of the broker.",
)
INTERNAL_ERROR = _refuses(
    "internal-error",
    "A decision that fails is a refusal.",
    "Report this as a fault of the broker, with the reason and the rules looked at.",
)

RULES: Mapping[str, Rule] = MappingProxyType(
    {rule.name: rule for rule in list(globals().values()) if isinstance(rule, Rule)}
)
"""Every rule by its name, in the order a decision meets them."""
