"""The rules that let connections in or refuse them: one table, for the decision, the manual and explanations."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from choria_broker.security.tokens import CLOCK_LEEWAY, Fault


class Rule(msgspec.Struct, frozen=True):
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
    "Connect with TLS.",
)
ADDRESS_UNKNOWN = _refuses(
    "address-unknown",
    "A connection that presents a token must have a known address.",
    "Find out why the engine, or a proxy in front of it, does not report the peer's address.",
)

ORGANIZATION_APART = _refuses(
    "organization-apart",
    "The system user, the provisioner and nodes waiting for provisioning must belong to an organization whose "
    "account is choria: organizations with their own accounts would otherwise share the accounts system and "
    "provisioning.",
    "Use a token from an issuer whose plugin.security.issuer.NAME.account is choria, the default.",
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
    "The provisioner's token must have the provisioner permission.",
    "Issue the token again with the provisioner permission.",
)
PROVISIONER_CERTIFICATE_REQUIRED = _refuses(
    "provisioner-certificate-required",
    "Without organization issuers the provisioner must present a certificate that the broker can verify.",
    "Give the provisioner a certificate signed by the broker's CA.",
)
PROVISIONER = _accepts(
    "provisioner",
    "User provisioner, with its password and the token or certificate that this network requires, joins account "
    "provisioning without limits.",
)

SYSTEM_TLS_REQUIRED = _refuses(
    "system-tls-required",
    "The system user must connect with TLS.",
    "Connect as the system user with TLS.",
)
SYSTEM_TOKEN_REQUIRED = _refuses(
    "system-token-required",
    "Without a verified certificate the system user needs a client token.",
    "Present a certificate signed by the broker's CA, or a client token with the system_user permission.",
)
SYSTEM_PERMISSION = _refuses(
    "system-permission",
    "The token of the system user must have the system_user or org_admin permission.",
    "Issue the token again with the system_user permission.",
)
SYSTEM_PASSWORD = _refuses(
    "system-password",
    "The system user must send the configured password.",
    "Use the password in plugin.choria.network.system.password; while it is empty the system user cannot log in.",
)
SYSTEM_USER = _accepts(
    "system-user",
    "The system user with its password, and a verified certificate or a token that permits it, joins account system.",
)

CLIENT_TOKEN = _accepts(
    "client-token",
    "A client with a valid token, and a nonce signature made with the token's private key, gets what the token "
    "permits.",
)
CLIENT_TOKEN_OUTSIDE_CLIENT_HOSTS = _accepts(
    "client-token-outside-client-hosts",
    "A client with a valid token, on a host outside client_hosts, gets what the token permits except fleet requests.",
)
SERVER_TOKEN = _accepts(
    "server-token",
    "A server with a valid token, and a nonce signature made with the token's private key, gets what the token "
    "permits.",
)
SERVER_NAMES = _refuses(
    "server-names",
    "The identity and collectives in a server's token become parts of subjects: they must not contain "
    "wildcards, spaces, empty parts (as in web1. or a..b) or characters that do not print.",
    "Issue the token again with a valid identity and valid collectives.",
)
SERVER_DENIED = _accepts(
    "server-denied",
    "With deny_server_connections set, a server with a valid token stays connected but may neither publish nor "
    "subscribe.",
)
TOKEN_KIND = _refuses(
    "token-kind",
    "Only clients may present tokens; leafnodes may not.",
    "Give the leafnode a certificate signed by the broker's CA and no token.",
)
TOKEN_NONCE = _refuses(
    "token-nonce",
    "A connection with a token must sign the broker's nonce with the private key that belongs to the token.",
    "Check that the program uses the seed file that belongs to the token.",
)
TOKEN_MALFORMED = _refuses(
    Fault.MALFORMED,
    "A token must be a JSON Web Token in compact form, with three parts.",
    "Check that the token file holds one token and nothing else.",
)
TOKEN_ALGORITHM = _refuses(
    Fault.ALGORITHM,
    "A token must be signed with EdDSA, RS256, RS384 or RS512.",
    "Issue the token again with an ed25519 or RSA key.",
)
TOKEN_ORGANIZATION = _refuses(
    Fault.ORGANIZATION,
    "With organization issuers a token must name one of the broker's issuers in its claim ou.",
    "Issue the token for the right organization, or add the issuer to plugin.security.issuer.names.",
)
TOKEN_NO_SIGNER = _refuses(
    Fault.NO_SIGNER,
    "A token is accepted only when the broker is configured with the key that signs such tokens.",
    "Set plugin.security.issuer.names, or the signer of this kind of token: "
    "plugin.choria.network.client_signer_cert, server_signer_cert or provisioning.signer_cert. Check that the "
    "files can be read.",
)
TOKEN_CLAIMS = _refuses(
    Fault.CLAIMS,
    "A token's claims must have the right types, and the claims that name its holder must not be empty.",
    "Issue the token again with the choria command line.",
)
TOKEN_SIGNATURE = _refuses(
    Fault.SIGNATURE,
    "A token must be signed by a key that the broker trusts for that kind of token.",
    "Compare the key that issued the token with the issuers and signers in the broker's configuration.",
)
TOKEN_CHAIN = _refuses(
    Fault.CHAIN,
    "A token issued by a chain issuer must prove that an organization issuer vouches for that chain issuer.",
    "Check that the login service or provisioner uses an issuer token signed by the organization.",
)
TOKEN_EXPIRED = _refuses(
    Fault.EXPIRED,
    "A token is not accepted after it has expired.",
    "Get a new token; check the clocks of both machines.",
)
TOKEN_ISSUER_EXPIRED = _refuses(
    Fault.ISSUER_EXPIRED,
    "A token issued by a chain issuer is not accepted after the chain issuer's own token has expired.",
    "Renew the token of the login service or provisioner, then get a new token.",
)
TOKEN_NOT_YET_VALID = _refuses(
    Fault.NOT_YET_VALID,
    f"A token is not accepted more than {CLOCK_LEEWAY} s before it is valid.",
    "Check the clocks of the broker and of the machine that issued the token.",
)
TOKEN_ISSUED_IN_FUTURE = _refuses(
    Fault.FUTURE,
    f"A token that was issued more than {CLOCK_LEEWAY} s in the future is not accepted.",
    "Check the clocks of the broker and of the machine that issued the token.",
)
TOKEN_PURPOSE = _refuses(
    Fault.PURPOSE,
    "A token is accepted only for the purpose it was issued for.",
    "Use a client token for clients, a server token for servers, a provisioning token for nodes to be provisioned.",
)

SERVERS_REFUSED = _refuses(
    "servers-refused",
    "With client_anon_tls set, servers are refused, even with a token.",
    "Let servers connect to a broker without plugin.choria.network.client_anon_tls.",
)
CLIENT_TOKEN_REQUIRED = _refuses(
    "client-token-required",
    "With client_anon_tls set, only clients with a token are accepted; a certificate is not enough.",
    "Get a client token, or remove plugin.choria.network.client_anon_tls to accept certificates.",
)

CERTIFICATE_REQUIRED = _refuses(
    "certificate-required",
    "A connection without a token must present a certificate that the broker can verify.",
    "Give the program a certificate signed by the broker's CA, or a token.",
)
IN_PROCESS = _accepts(
    "in-process",
    "The broker's own connections join their account without limits.",
)
MTLS_PUBSUB_ONLY = _accepts(
    "mtls-pubsub-only",
    "With organization issuers and plugin.security.choria.ca, a connection with only a verified certificate may "
    "use all subjects except Choria's own.",
)
MTLS_TOKEN_REQUIRED = _refuses(
    "mtls-token-required",
    "With organization issuers and no plugin.security.choria.ca, a certificate alone is not enough.",
    "Give the program a token, or set plugin.security.choria.ca to accept certificates for traffic other than "
    "Choria's own.",
)
MTLS = _accepts(
    "mtls",
    "Without organization issuers, a connection with a verified certificate joins account choria without limits.",
)
MTLS_OUTSIDE_CLIENT_HOSTS = _accepts(
    "mtls-outside-client-hosts",
    "A connection with a verified certificate, from a host outside client_hosts, gets the permissions of a "
    "fleet server and may not make fleet requests.",
)
LEAFNODE_DENIED = _refuses(
    "leafnode-denied",
    "With deny_server_connections set, a leafnode from outside client_hosts is refused: permissions cannot stop "
    "it from acknowledging stream messages.",
    "List the leafnode's address in plugin.choria.network.client_hosts.",
)
MTLS_DENIED = _accepts(
    "mtls-denied",
    "With deny_server_connections set, a connection from outside client_hosts may neither publish nor subscribe.",
)

PROVISIONING_DISABLED = _refuses(
    "provisioning-disabled",
    "Nodes can wait for provisioning only on a broker that has account provisioning.",
    "Set plugin.choria.network.provisioning.client_password and a signer of provisioning tokens.",
)
PROVISIONEE_TOKEN_REQUIRED = _refuses(
    "provisionee-token-required",
    "A node waiting for provisioning must present a provisioning token.",
    "Give the node a provisioning token.",
)
PROVISIONEE_KIND = _refuses(
    "provisionee-kind",
    "A node waiting for provisioning must be a client that connects with TLS and without a verified certificate.",
    "Connect nodes waiting for provisioning to the client port.",
)
PROVISIONEE = _accepts(
    "provisionee",
    "A node with a valid provisioning token joins account provisioning and may use only the subjects that "
    "provisioning needs.",
)

UNVERIFIED = _accepts(
    "unverified",
    "With unverified_account set, a client without certificate, token, user or password joins that account.",
)
UNVERIFIED_OUTSIDE_CLIENT_HOSTS = _accepts(
    "unverified-outside-client-hosts",
    "An unverified client from a host outside client_hosts gets the permissions of a fleet server and may not "
    "make fleet requests.",
)
UNVERIFIED_DENIED = _accepts(
    "unverified-denied",
    "With deny_server_connections set, an unverified client from outside client_hosts may neither publish nor "
    "subscribe.",
)

REVOKED_IDENTITY = _refuses(
    "revoked-identity",
    "A server whose identity, in its token or as the common name of its certificate, is in the revocation file is "
    "refused.",
    "Give the machine another identity, or remove the entry from the file in plugin.choria.network.revocations.",
)
REVOKED_CALLER = _refuses(
    "revoked-caller",
    "A client whose caller id is in the revocation file is refused.",
    "Remove the entry from the file in plugin.choria.network.revocations.",
)
REVOKED_TOKEN = _refuses(
    "revoked-token",
    "A token is refused when its id is in the revocation file, or the id of the token of the chain issuer that "
    "issued it.",
    "Get a new token, or remove the entry from the file in plugin.choria.network.revocations.",
)
REVOKED_KEY = _refuses(
    "revoked-key",
    "A token is refused when the key of its holder, or of the chain issuer that issued it, is in the revocation file.",
    "Get a token for a new key, or remove the entry from the file in plugin.choria.network.revocations.",
)
REVOKED_CERTIFICATE = _refuses(
    "revoked-certificate",
    "A certificate is refused when it, or a CA certificate above it, is in a list of plugin.choria.network.crl or in "
    "the revocation file.",
    "Give the program a new certificate.",
)
CRL_EXPIRED = _refuses(
    "crl-expired",
    "With plugin.choria.network.crl_expired = refuse, a certificate is refused when the list of its issuer is past "
    "its next update.",
    "Have the CA write a new list, and copy it to the file in plugin.choria.network.crl.",
)

ACCOUNT_ABSENT = _refuses(
    "account-absent",
    "A connection cannot join an account that the broker does not have.",
    "Declare the account in plugin.choria.network.accounts; if it is declared, report this as a bug in the broker.",
)
INTERNAL_ERROR = _refuses(
    "internal-error",
    "A connection is refused when an error in the broker prevents the decision.",
    "Report this as a bug in the broker, with the reason and the rules that were checked.",
)

RULES: Mapping[str, Rule] = MappingProxyType(
    {rule.name: rule for rule in list(globals().values()) if isinstance(rule, Rule)}
)
"""Every rule by its name, in the order a decision meets them."""
