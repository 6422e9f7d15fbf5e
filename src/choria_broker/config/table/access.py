"""The rows of who may connect and as whom: access, revocation, special logins, and the TLS and tokens behind them."""

from __future__ import annotations

from choria_broker.config.table.schema import Apply, Setting, Shows, Status, ValueKind
from choria_broker.config.table.schema import setting_row as _row
from choria_broker.config.table.suites import CIPHER_SUITES, CURVES
from choria_broker.settings.network import NETWORK, ReloadSessions
from choria_broker.settings.revocation import CrlExpired
from choria_broker.settings.security import Provider

_LIVE, _ENGINE, _RESTART = Apply.LIVE, Apply.ENGINE, Apply.RESTART
_STRING, _PATH, _INTEGER = ValueKind.STRING, ValueKind.PATH, ValueKind.INTEGER
_BOOLEAN, _LIST = ValueKind.BOOLEAN, ValueKind.LIST
_NEW = Status.NEW
_WORDS, _PLACES, _FILES = Shows.WORDS, Shows.PLACES, Shows.FILES

_IN_SSLDIR = " and ".join(each for each in Provider if each.in_ssldir)

# fmt: off
# One row of the table stays one or two lines, which the formatter would stretch to ten.


def _access() -> tuple[Setting, ...]:
    g, r, n = "Who may connect", "Who is revoked", NETWORK
    return (
        _row(g, n + "client_hosts", _LIST, "", _LIVE,
             "Addresses and networks whose hosts may act as fleet clients. Unset: all.", shows=_PLACES),
        _row(g, n + "deny_server_connections", _BOOLEAN, "false", _LIVE,
             "Deny everything to fleet servers on this broker.", since="0.17", field="Network.deny_server_connections"),
        _row(g, n + "client_signer_cert", _LIST, "", _LIVE,
             "PEM files or ed25519 keys of 64 hexadecimal digits that sign client tokens.", since="0.25", shows=_FILES),
        _row(g, n + "server_signer_cert", _LIST, "", _LIVE,
             "PEM files or ed25519 keys of 64 hexadecimal digits that sign server tokens.", since="0.25", shows=_FILES),
        _row(g, n + "client_anon_tls", _BOOLEAN, "false", _LIVE,
             "Request no certificates and accept only clients with valid tokens, and provisioning as "
             "configured. Needs client_signer_cert or issuers, and cannot be combined with "
             "plugin.security.client_anon_tls. With signers and without this setting the broker accepts "
             "connections with certificates and with tokens.", status=_NEW,
             field="Network.client_anon_tls"),
        _row(g, n + "unverified_account", _STRING, "", _LIVE,
             "Account, one of accounts, for clients that present neither certificate nor token nor login, with "
             "TLS or in clear text. Unset: they are refused. It may be choria, or the account of an issuer, "
             "only with --disable-tls or when a leafnode remote is bound to that account. Programs that use TLS "
             "only on demand, such as the Python NATS library, then connect in clear text.", status=_NEW, shows=_WORDS),
        _row(g, n + "reload_sessions", ValueKind.CHOICE, "keep", _LIVE,
             "What a reload does with sessions that the new policy would refuse or decide differently: keep them until "
             "they end by themselves; or end them, spread over ten seconds.", status=_NEW,
             choices=tuple(ReloadSessions), field="Network.reload_sessions"),
        _row(r, n + "crl", _LIST, "", _LIVE,
             "PEM files with the lists of revoked certificates of the CAs in the CA file; one file may hold several. "
             "Unset, with provider puppet: crl.pem in ssldir, if it exists. none turns it off.",
             status=_NEW, shows=_FILES),
        _row(r, n + "crl_expired", ValueKind.CHOICE, "accept", _LIVE,
             "What to do with a certificate when the list of its CA is past its next update: accept it, with a "
             "finding, a metric and degraded health; or refuse it.",
             status=_NEW, choices=tuple(CrlExpired), field="Revocation.expired"),
        _row(r, n + "revocations", _PATH, "", _LIVE,
             "File with revoked identities, callers, tokens, keys and certificates, one a line. A missing file counts "
             "as empty.", status=_NEW, field="Revocation.file"),
        _row(r, n + "enforce_expiry", _BOOLEAN, "false", _LIVE,
             "End sessions when their token or certificate expires.", status=_NEW, field="Revocation.enforce_expiry"),
    )


def _special_logins() -> tuple[Setting, ...]:
    p, o, n = "Provisioning", "Operator mode", NETWORK
    return (
        _row(p, n + "provisioning.signer_cert", _PATH, "", _LIVE,
             "Key or PEM file that signs provisioning tokens.", since="0.23", field="Provisioning.signer"),
        _row(p, n + "provisioning.client_password", _STRING, "", _LIVE,
             "Password of user provisioner; setting it creates account provisioning.", since="0.23", secret=True,
             field="Provisioning.client_password"),
        _row(p, n + "provisioning.provisioner_without_token", _BOOLEAN, "false", _LIVE,
             "On networks with issuers, accept the provisioner with only the password.", since="0.27",
             field="Provisioning.provisioner_without_token"),
        _row(o, n + "operator_account", _STRING, "", _RESTART,
             "Name of the NATS operator whose accounts the broker serves, from its store accounts/nats/NAME "
             "beside this file. The users' tokens then decide who may connect: cannot be combined with settings "
             "that say who may connect.",
             status=_NEW, shows=_WORDS),
        _row(o, n + "system_account", _STRING, "system", _RESTART,
             "System account of the operator, by its public key or its name. Unset: the one that the operator's "
             "token names. Without an operator only system is accepted.", status=_NEW, shows=_WORDS),
        _row(o, n + "choria_account", _STRING, "", _RESTART,
             "Account of the operator that holds Choria Streams and is used for leafnode remotes without an "
             "account, by its name or public key. Unset: there are no standard streams.", status=_NEW, shows=_WORDS),
    )


def _security() -> tuple[Setting, ...]:
    g, s = "Security", "plugin.security."
    return (
        _row(g, s + "provider", ValueKind.CHOICE, "puppet", _RESTART,
             "Where certificate, private key and CA come from.", choices=tuple(Provider), field="Security.provider"),
        _row(g, "plugin.choria.ssldir", _PATH, "", _LIVE,
             f"Directory with the TLS files of the {_IN_SSLDIR} providers. Unset: puppet is asked."),
        _row(g, s + "file.certificate", _PATH, "", _LIVE, "Certificate of the file provider."),
        _row(g, s + "file.key", _PATH, "", _LIVE, "Private key of the file provider."),
        _row(g, s + "file.ca", _PATH, "", _LIVE, "CA of the file provider."),
        _row(g, s + "choria.certificate", _PATH, "", _LIVE,
             "Certificate of the choria provider.", since="0.27"),
        _row(g, s + "choria.key", _PATH, "", _LIVE, "Private key of the choria provider.", since="0.27"),
        _row(g, s + "choria.ca", _PATH, "", _LIVE,
             "CA of the choria provider. If set, client certificates are verified when presented. Unset: they "
             "are never requested.", since="0.27"),
        _row(g, s + "choria.token_file", _PATH, "", _RESTART,
             "Token of this broker for outgoing connections.", since="0.27"),
        _row(g, s + "choria.seed_file", _PATH, "", _RESTART, "Seed that belongs to the token.", since="0.27"),
        _row(g, s + "choria.trusted_signers", _LIST, "", _LIVE,
             "ed25519 keys of trusted signers for the choria provider, when there are no issuers.", since="0.26.2"),
        _row(g, s + "issuer.names", _LIST, "", _LIVE,
             "Organization issuers whose tokens are accepted.", since="0.27", shows=_WORDS),
        _row(g, s + "issuer.NAME.public", _STRING, "", _LIVE,
             "ed25519 public key of the issuer, 64 hexadecimal digits.", since="0.27"),
        _row(g, s + "issuer.NAME.account", _STRING, "choria", _ENGINE,
             "Account for connections with tokens from this issuer. It is created when named, isolated from all "
             "others, and has JetStream when stream.store is set. Issuers may share one; system, provisioning "
             "and auth are reserved. The system user, the provisioner and nodes waiting for provisioning are "
             "accepted only from issuers whose account is choria.", status=_NEW, shows=_WORDS),
        _row(g, s + "cipher_suites", _LIST, "", _ENGINE,
             f"TLS 1.2 cipher suites: {', '.join(CIPHER_SUITES)}. Unset: the engine's choice.", shows=_WORDS),
        _row(g, s + "ecc_curves", _LIST, "", _ENGINE,
             f"Curves: {', '.join(CURVES)}. Unset: the engine's choice.", shows=_WORDS),
        _row(g, s + "support_legacy_certificates", _BOOLEAN, "false", _RESTART,
             "Accept certificates without alternative names on outgoing connections.", since="0.20"),
        _row(g, s + "server_anon_tls", _BOOLEAN, "false", _RESTART,
             "Turns off client certificates for the whole process.", since="0.25"),
        _row(g, s + "client_anon_tls", _BOOLEAN, "false", _RESTART,
             "Turns off client certificates for the whole process; needs a request signer.", since="0.17"),
        _row(g, s + "pkcs11.driver_file", _PATH, "", _RESTART,
             "Driver of the pkcs11 provider, which brokers cannot use."),
        _row(g, s + "pkcs11.slot", _INTEGER, "0", _RESTART,
             "Slot of the pkcs11 provider, which brokers cannot use."),
        _row(g, "plugin.choria.security.request_signing_certificate", _PATH, "", _LIVE,
             "PEM file or key file of the signer of client tokens: another name for one entry of client_signer_cert, "
             "used when that is unset.",
             status=Status.ALIAS, note="write plugin.choria.network.client_signer_cert"),
    )


# fmt: on
ACCESS = (*_access(), *_special_logins())
"""Who may connect, who is revoked, and the logins that are neither a client's nor a server's."""

SECURITY = _security()
"""Where the broker's TLS comes from, and who is trusted."""
