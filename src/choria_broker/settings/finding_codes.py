"""The codes of findings: one table, for what makes findings, the manual and tests."""

from __future__ import annotations

import enum
from typing import Self


class Severity(enum.StrEnum):
    """How a finding changes what the broker does."""

    REFUSE = "refuse"
    """The broker does not start; nothing is bound."""
    SKIP = "skip"
    """The feature is left out, the rest runs."""
    WARN = "warn"
    """The broker runs as configured, the operator should look."""
    INFO = "info"
    """Worth knowing, nothing to do."""


_Row = tuple[str, tuple[Severity, ...], str, str, str]


def _row(code: str, *about: Severity | str, remedy: str = "", lenient: str = "") -> _Row:
    *severities, meaning = about
    return code, tuple(Severity(each) for each in severities), str(meaning), remedy, lenient


_REFUSE, _SKIP, _WARN, _INFO = Severity.REFUSE, Severity.SKIP, Severity.WARN, Severity.INFO
ALWAYS = "always"
"""Leniency that is not for some of the settings only."""


# fmt: off
# One row of the table stays one or two lines, which the formatter would stretch to ten.


@enum.unique
class Code(enum.StrEnum):
    """The class of a problem: a stable name, for tests, logs and programs. No finding has another one.

    Attributes:
        severities: what findings of this class do. Beside these a refusal can be softened to a warning: by
            ``--lenient-config``, and about TLS files without TLS. About adapters and the federation broker beside a
            network broker it leaves them out.
        meaning: what is wrong, in the words of the manual.
        remedy: what to do, unless a finding says it; empty where each does.
        lenient: when ``--lenient-config`` turns the refusal into a warning: empty is never.
    """

    severities: tuple[Severity, ...]
    meaning: str
    remedy: str
    lenient: str

    def __new__(cls, code: str, severities: tuple[Severity, ...], meaning: str, remedy: str, lenient: str) -> Self:
        """Make a member out of a row."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.severities, member.meaning, member.remedy, member.lenient = severities, meaning, remedy, lenient
        return member

    # Files and lines
    CONFIG_UNREADABLE = _row("config-unreadable", _REFUSE, "the main file cannot be opened",
        remedy="pass a readable configuration file with --config")
    PLUGIN_UNREADABLE = _row("plugin-unreadable", _REFUSE, "`plugin.d`, or a file in it, cannot be opened",
        remedy="make it readable for the broker's user, or remove it")
    PLUGIN_FILES_READ = _row("plugin-files-read", _INFO, "which files of `plugin.d` were read after the main file",
        remedy="nothing to do")
    PLUGIN_FILES_SKIPPED = _row("plugin-files-skipped", _INFO,
        "the configuration is in the home directory, where `plugin.d` is not read")
    PLUGIN_CONF_FILE = _row("plugin-conf-file", _WARN, "a file in `plugin.d` that ends in `.conf`; only `.cfg` is read")
    INERT_PLUGIN_FILE = _row("inert-plugin-file", _WARN,
        "a key in a `plugin.d` file that cannot be set there; only `choria.cfg` can contain declared settings")
    NUL_CHARACTER = _row("nul-character", _REFUSE, "a NUL character in a line",
        remedy="remove the character; check that this is a text file")
    NOT_UTF8 = _row("not-utf8", _REFUSE, _WARN,
        "a line is not UTF-8; in a password it is read as Latin-1 with a warning",
        remedy="save the file as UTF-8")
    DROPPED_LINE = _row("dropped-line", _WARN, "a line that is not a setting",
        remedy="write KEY = VALUE, or # before a comment")
    TWO_SETTINGS = _row("two-settings", _REFUSE, _WARN,
        "another setting on the same line; in a password that is a warning",
        remedy="write each setting on its own line")
    EMPTY_VALUE = _row("empty-value", _WARN, "a known key without a value, which cannot be set",
        remedy="write a value, or remove the line")

    # Keys and values
    UNKNOWN_KEY = _row("unknown-key", _WARN, _INFO,
        "a key under `plugin.choria.` or `plugin.security.` that no Choria program has, or one that is almost a known "
        "key, which is named; its value is not shown. Info for other keys that do not belong to plugins")
    REPEATED_KEY = _row("repeated-key", _WARN, "the same key twice in one file with different values",
        remedy="remove one of the lines")
    OVERRIDDEN_KEY = _row("overridden-key", _INFO, "a later file sets another value", remedy="set it in one file only")
    ALIAS_KEY = _row("alias-key", _WARN, "an older or other name of a key")
    RETIRED_KEY = _row("retired-key", _WARN, "a key that is no longer used")
    IGNORED_KEY = _row("ignored-key", _INFO, "a key without effect on this broker", remedy="remove it")
    CLIENT_SETTING = _row("client-setting", _WARN, "a setting of federation clients in the broker's file",
        remedy="remove it from the broker's configuration and environment")
    INEFFECTIVE_ENVIRONMENT = _row("ineffective-environment", _WARN,
        "an environment variable that only client commands use")
    UNLISTED_NAME = _row("unlisted-name", _WARN,
        "settings of a remote, mapping, issuer or adapter that its list does not name")
    BAD_VALUE = _row("bad-value", _REFUSE, _WARN,
        "a value that cannot be read, or is not valid; a warning when the broker does not use the key", lenient=ALWAYS)
    BAD_BOOLEAN = _row("bad-boolean", _REFUSE, "not a boolean", lenient=ALWAYS)
    BAD_CHOICE = _row("bad-choice", _REFUSE, "not one of the allowed words", lenient=ALWAYS)
    BAD_PROVIDER = _row("bad-provider", _REFUSE, "an unknown security provider")
    PORT_RANGE = _row("port-range", _REFUSE, "a port outside 0 to 65535")
    EMPTY_ITEM = _row("empty-item", _WARN, "an empty item in a list, which is ignored",
        remedy="remove the extra comma")
    REPEATED_ITEM = _row("repeated-item", _WARN, "the same item twice in a list", remedy="remove the duplicate")
    SWITCH_READ_DIFFERENTLY = _row("switch-read-differently", _WARN,
        "go-choria reads this `tls.verify` or `tls.disable` as the opposite",
        remedy="write yes or no in lower case")
    NO_EFFECT = _row("no-effect", _WARN, _INFO, "a setting that has no effect without another one")

    # The broker as a whole
    NOTHING_ENABLED = _row("nothing-enabled", _REFUSE, "neither network broker, federation nor adapters are on")
    NO_IDENTITY = _row("no-identity", _REFUSE, "`identity` is not set and the machine has no name",
        remedy="set identity to the full host name")
    BAD_IDENTITY = _row("bad-identity", _REFUSE, "`identity` has spaces or control characters",
        remedy="set identity to the full host name")
    IDENTITY_NO_HOST = _row("identity-no-host", _WARN,
        "`identity` is not a host name, and `public_url` does not say where clients reach the broker")
    PORT_CLASH = _row("port-clash", _REFUSE, "two listeners on one port",
        remedy="give every listener its own port")
    ADDRESS_UNAVAILABLE = _row("address-unavailable", _REFUSE, _WARN,
        "this host does not have the address to listen on, or the host name to listen on is unknown or has no address "
        "of this host. A warning on reload: the broker keeps listening on the addresses that it has opened",
        remedy="write an address of this host")
    LISTENS_ON_LESS = _row("listens-on-less", _INFO,
        "this host has only some of the addresses to listen on, or the engine can listen on only one of them")
    PORT_UNAVAILABLE = _row("port-unavailable", _REFUSE,
        "at start and in `check`: a port is in use (the finding names the program if it is known), or its address is "
        "not on this machine")
    LOG_FILE = _row("log-file", _REFUSE, "in `check`: the log file cannot be opened by the user that runs the check")
    ALREADY_RUNNING = _row("already-running", _REFUSE,
        "at start: another broker of this user runs with this configuration file")
    CONTROL_PLACE = _row("control-place", _REFUSE, "at start and in `check`: the control socket cannot be created")
    PID_FILE = _row("pid-file", _REFUSE, "in `run --check`: the file of `--pid` cannot be written by this user")
    FEW_OPEN_FILES = _row("few-open-files", _WARN,
        "in `check`: the limit of open files is too low for `max_connections`; the remedy has the line to write")
    SHORT_LISTEN_QUEUE = _row("short-listen-queue", _WARN,
        "in `check`: `net.core.somaxconn` is too low for many connections at once")
    SHORT_SYN_QUEUE = _row("short-syn-queue", _WARN,
        "in `check`: `net.ipv4.tcp_max_syn_backlog` is too low for many connections at once")
    ENGINE_MISSING = _row("engine-missing", _REFUSE, "in `check`: the engine is not installed",
        remedy="install the engine, then check again")
    ENGINE_REFUSES = _row("engine-refuses", _REFUSE,
        "in `check`: the engine does not accept the configuration made from the settings",
        remedy="correct the setting that the message names; if it is right, report this as a bug")

    # TLS
    NO_SSLDIR = _row("no-ssldir", _REFUSE, "the directory of Puppet's or cert-manager's files is not known")
    NO_TLS_FILE = _row("no-tls-file", _REFUSE, "certificate, key or CA of the provider is not set")
    PKCS11 = _row("pkcs11", _REFUSE, "a broker cannot use a key that is inside a token",
        remedy="use security provider file with plugin.security.file.certificate, .key and .ca")
    TLS_FILE_MISSING = _row("tls-file-missing", _REFUSE, "a file does not exist or cannot be read")
    TLS_NO_PEM = _row("tls-no-pem", _REFUSE, _SKIP,
        "the engine finds no PEM certificate in the file: it is DER or UTF-16, or has a byte order mark or indented "
        "lines")
    TLS_BAD_PEM = _row("tls-bad-pem", _REFUSE, _SKIP, _WARN,
        "a certificate that the engine cannot read: damaged, a negative serial number, an unknown curve; a "
        "warning where it ignores one of several CAs")
    TLS_NO_KEY = _row("tls-no-key", _REFUSE, _SKIP, "no usable private key in the file")
    TLS_KEY_ENCRYPTED = _row("tls-key-encrypted", _REFUSE, _SKIP, "the private key has a passphrase",
        remedy="store the key without a passphrase, mode 0600")
    TLS_KEY_MISMATCH = _row("tls-key-mismatch", _REFUSE, _SKIP, "the private key does not belong to the certificate")
    TLS_UNTRUSTED = _row("tls-untrusted", _REFUSE,
        "the certificate was not issued by the CA, or an intermediate certificate is missing")
    TLS_NOT_FOR_SERVERS = _row("tls-not-for-servers", _REFUSE, _WARN,
        "an extended key usage without serverAuth: no client can connect; a warning without a CA, and for the "
        "CA of a remote")
    TLS_NOT_FOR_CLIENTS = _row("tls-not-for-clients", _WARN,
        "an extended key usage without clientAuth: members, gateways and leafnode hubs refuse the broker when "
        "it connects to them, or nobody with a certificate of that CA can connect")
    TLS_BAD_CA = _row("tls-bad-ca", _REFUSE, _WARN,
        "a CA certificate without CA:TRUE or keyCertSign, with too short a path length, or with an unsupported "
        "critical extension; a warning for one on which the broker's own certificate does not depend")
    TLS_LEAF_IN_CA = _row("tls-leaf-in-ca", _WARN, "the CA file holds the broker's own certificate")
    TLS_FORBIDDEN_NAME = _row("tls-forbidden-name", _REFUSE,
        "the name constraints of a CA do not permit a name in the certificate")
    TLS_WEAK_SIGNATURE = _row("tls-weak-signature", _REFUSE, _WARN,
        "a signature with SHA-1, MD5 or an algorithm that the engine does not support; a warning without a CA")
    TLS_WEAK_KEY = _row("tls-weak-key", _REFUSE, _SKIP, _WARN,
        "a key that programs do not accept (RSA below 1024 or above 8192 bits, P-224, DSA, Ed448); a warning "
        "for RSA below 2048 bits, which OpenSSL refuses")
    TLS_LONG_KEY = _row("tls-long-key", _INFO,
        "the broker's RSA key has more than 2048 bits: each new connection needs a signature, which takes many times "
        "as long as with an ECDSA key")
    TLS_EXPIRED = _row("tls-expired", _REFUSE, _WARN, _INFO,
        "expired; a warning for the files of a remote; info for one CA of several when another one is valid",
        remedy="renew it, or check the clock of this machine")
    TLS_NOT_YET_VALID = _row("tls-not-yet-valid", _REFUSE, _WARN, _INFO,
        "not valid yet; a warning for the files of a remote; info for one CA of several when another one is valid",
        remedy="check the clock of this machine")
    TLS_EXPIRES_SOON = _row("tls-expires-soon", _WARN, "expires within 14 days", remedy="renew it before that day")
    TLS_NAME_MISMATCH = _row("tls-name-mismatch", _WARN,
        "the certificate does not contain `identity`, or the name or address of this broker in `peers`, in the "
        "`urls` of its own cluster, in `public_url` or in `websocket_advertise`")
    TLS_COMMON_NAME_ONLY = _row("tls-common-name-only", _WARN,
        "the certificate has no alternative names, and programs do not look at the common name")
    TLS_DISABLED = _row("tls-disabled", _WARN, "`--disable-tls` was given", remedy="start without the option")
    VERIFICATION_DISABLED = _row("verification-disabled", _WARN, "client certificates are off")
    UNKNOWN_TLS_NAME = _row("unknown-tls-name", _REFUSE, "a cipher suite or curve that the engine does not support")
    NEEDS_TLS = _row("needs-tls", _WARN, "a setting that has no effect without TLS",
        remedy="start without --disable-tls")

    # Who is trusted
    NO_ISSUER_KEY = _row("no-issuer-key", _REFUSE, "an issuer without public key")
    BAD_ISSUER_KEY = _row("bad-issuer-key", _REFUSE, "an issuer's key is not 64 hexadecimal digits")
    ISSUER_WITH_SIGNERS = _row("issuer-with-signers", _REFUSE, "issuers and trusted signers cannot be used together")
    SIGNER_MISSING = _row("signer-missing", _REFUSE, "a signer is neither a key nor a readable file")
    BAD_SIGNER = _row("bad-signer", _REFUSE, "a signer's file has no usable key")
    BAD_SIGNER_KEY = _row("bad-signer-key", _REFUSE, "a trusted signer of the choria provider is not a key")
    CHORIA_WITHOUT_SIGNERS = _row("choria-without-signers", _REFUSE,
        "the choria provider needs issuers or trusted signers")
    CHORIA_WITHOUT_TOKEN = _row("choria-without-token", _REFUSE,
        "the choria provider needs `token_file` and `seed_file`",
        remedy="set it; the file may be created later")
    CHORIA_CONFLICT = _row("choria-conflict", _REFUSE, "a setting that cannot be used with the choria provider",
        remedy="remove one of the two")
    ANON_TLS_WITHOUT_SIGNER = _row("anon-tls-without-signer", _REFUSE, "anonymous TLS needs a request signer")
    BAD_ORIGIN = _row("bad-origin", _SKIP, "an item of `websocket_origins` is not an origin of pages")
    ANY_ORIGIN = _row("any-origin", _WARN, "`websocket_origins` accepts the pages of every site",
        remedy="list the sites whose pages need access")
    BAD_CLIENT_HOST = _row("bad-client-host", _REFUSE, "an item of `client_hosts` is neither address nor network")
    HALF_LOGIN = _row("half-login", _REFUSE,
        "only one of user and password, of the system user or of peers", lenient="for the system user")
    USER_CLASH = _row("user-clash", _WARN, "the system user is called `provisioner` and can never log in",
        remedy="choose another name")
    HALF_PROVISIONING = _row("half-provisioning", _WARN,
        "only one of provisioning signer and password; the finding says who will be refused")
    BAD_ACCOUNT = _row("bad-account", _REFUSE, "an account name that cannot be used")
    ORGANIZATIONS_APART = _row("organizations-apart", _WARN,
        "every issuer has its own account; the finding says who can never log in to `system` and `provisioning`",
        remedy="add an issuer for yourself to plugin.security.issuer.names, without an account")
    ORGANIZATIONS_MEET = _row("organizations-meet", _WARN,
        "`provisioner_without_token`, and organizations with their own accounts",
        remedy="remove it, and give the provisioner a token from an issuer whose account is choria")
    SHARED_ISSUER_KEY = _row("shared-issuer-key", _WARN, "two issuers with different accounts have the same key",
        remedy="give each organization its own key")
    CLIENT_ANON_TLS_WITHOUT_SIGNER = _row("client-anon-tls-without-signer", _REFUSE,
        "`client_anon_tls` of the network, and nobody signs client tokens")
    CLIENT_ANON_TLS_TWICE = _row("client-anon-tls-twice", _REFUSE, "the two settings called `client_anon_tls` together")
    PROVISIONER_WITHOUT_CERTIFICATE = _row("provisioner-without-certificate", _WARN,
        "with `client_anon_tls` the provisioner cannot log in")
    BAD_UNVERIFIED_ACCOUNT = _row("bad-unverified-account", _REFUSE, "`unverified_account` is not one of `accounts`")
    OPEN_BROKER = _row("open-broker", _REFUSE, "`unverified_account` would let anybody join the fleet")
    UNVERIFIED_WITH_TOKENS_ONLY = _row("unverified-with-tokens-only", _REFUSE,
        "`unverified_account` contradicts `client_anon_tls`",
        remedy="remove one of the two")

    # Who is revoked
    CRL_UNREADABLE = _row("crl-unreadable", _REFUSE, _SKIP,
        "a file with lists of revoked certificates, or the revocation file, is missing or cannot be read",
        remedy="make it readable for the broker's user, or correct the setting")
    CRL_DAMAGED = _row("crl-damaged", _REFUSE, _SKIP,
        "a file that has no list of revoked certificates in PEM, or one that is damaged or incomplete",
        remedy="have the CA write the file again")
    CRL_SIGNATURE = _row("crl-signature", _REFUSE, _SKIP,
        "a list of revoked certificates with a wrong signature: the CA of that name in the CA file did not sign it")
    CRL_KIND = _row("crl-kind", _REFUSE, _SKIP,
        "a delta list, a list that covers only some certificates or those of other CAs, or one with an unknown "
        "critical extension")
    CRL_STRANGER = _row("crl-stranger", _REFUSE, _SKIP, _WARN,
        "a list of revoked certificates of a CA that is not in the CA file; a warning if the file has other lists")
    CRL_OLDER = _row("crl-older", _SKIP,
        "on reload: a list of revoked certificates is older than the one in use, or is no longer in its file",
        remedy="put the newest list of the CA there; a restart uses the list that is there")
    CRL_EXPIRED = _row("crl-expired", _WARN, "a list of revoked certificates that is past its next update",
        remedy="have the CA write a new list, and copy it to this file")
    CRL_ABSENT = _row("crl-absent", _WARN, "there is no list of revoked certificates for a CA in the CA file",
        remedy="add the list of that CA to a file in plugin.choria.network.crl")
    BAD_REVOCATION = _row("bad-revocation", _REFUSE, _SKIP, "a line of the revocation file that is not a valid entry",
        remedy="correct the line")
    REVOCATIONS_GONE = _row("revocations-gone", _WARN, "on reload: the revocation file is missing, and counts as empty",
        remedy="put it back; it may be empty")

    # Operator mode
    OPERATOR_CONFLICT = _row("operator-conflict", _REFUSE,
        "a setting that says who may connect, together with `operator_account`")
    BAD_OPERATOR = _row("bad-operator", _REFUSE, "the operator's store or its token cannot be used; see the path")
    BAD_SYSTEM_ACCOUNT = _row("bad-system-account", _REFUSE,
        "the system account is not in the store, is not usable, or is not the one that the operator names")
    SYSTEM_ACCOUNT_WITHOUT_OPERATOR = _row("system-account-without-operator", _REFUSE,
        "a `system_account` without `operator_account`")
    STREAMS_WITHOUT_SYSTEM_ACCOUNT = _row("streams-without-system-account", _REFUSE,
        "Choria Streams, and no system account")
    OPERATOR_CHANGED = _row("operator-changed", _REFUSE,
        "at a reload: another operator, or a changed one, which needs a restart",
        remedy="restart the broker")
    BAD_OPERATOR_ACCOUNT = _row("bad-operator-account", _SKIP,
        "an account that is not served; at a reload one that is served stays as it was")
    UNKNOWN_CHORIA_ACCOUNT = _row("unknown-choria-account", _SKIP, "`choria_account` is not among the usable "
                                                                   "accounts")
    CHORIA_ACCOUNT_IS_SYSTEM = _row("choria-account-is-system", _SKIP,
        "`choria_account` is the system account, which cannot have streams",
        remedy="write another account")
    OPERATOR_MAPPINGS = _row("operator-mappings", _SKIP, "subject mappings together with `operator_account`",
        remedy="use nsc add mapping")
    NO_ACCOUNTS = _row("no-accounts", _WARN, "the store has no usable account", remedy=("create one with nsc "
                                                                                         "add account"))
    OPEN_OPERATOR_STORE = _row("open-operator-store", _WARN,
        "group or others may write to the store, and so decide who may connect")
    EARLY_OPERATOR_ACCOUNT = _row("early-operator-account", _WARN, "an account that is not valid yet",
        remedy="wait, or change it with nsc edit account --start")
    BAD_ACCOUNT_CREDENTIALS = _row("bad-account-credentials", _WARN,
        "a credentials file in the store that the broker cannot use")
    NO_ACCOUNT_CREDENTIALS = _row("no-account-credentials", _WARN,
        "streams are on, and there are no credentials for `choria_account`")
    STREAMS_WITHOUT_ACCOUNT = _row("streams-without-account", _INFO, "streams are on, and no `choria_account` is set")
    NO_SYSTEM_ACCOUNT = _row("no-system-account", _INFO, "neither the settings nor the operator name a system account")

    # Cluster, gateways, leafnodes
    BAD_PEER = _row("bad-peer", _SKIP,
        "a peer that is not an address is ignored. The broker stays a member of its cluster, even when no other "
        "entry is left: it then waits at its peer port for the others. The ignored member still counts for the copies "
        "of streams and for elections of leaders")
    NOT_IN_PEERS = _row("not-in-peers", _WARN,
        "no peer in the list can be identified as this broker, by its identity or by an address of this host "
        "with its peer port. Nothing to do if the list has it under another name, as behind NAT or for a "
        "headless service")
    PEER_PORT_DIFFERS = _row("peer-port-differs", _WARN,
        "the list of peers has this broker with another port than its peer port")
    REPEATED_PEER = _row("repeated-peer", _WARN, "two peers in the list are the same address and port")
    MANY_PEERS = _row("many-peers", _WARN, "more than five peers", remedy="connect further brokers with gateways")
    PEER_UNRESOLVABLE = _row("peer-unresolvable", _INFO, "a peer's name is unknown; the engine keeps trying")
    SRV_PEERS = _row("srv-peers", _INFO, "the peers were found in DNS; the finding lists them", remedy="nothing to do")
    BAD_SRV_TARGET = _row("bad-srv-target", _SKIP,
        "DNS names a peer to which no connection is possible: invalid characters, port 0. The others are used, "
        "as with `bad-peer`")
    SRV_NO_SERVICE = _row("srv-no-service", _WARN,
        "the SRV record has the target `.`, which says that there is no such service")
    SRV_OVERRIDES_PEERS = _row("srv-overrides-peers", _WARN, "DNS names other peers than the setting")
    SRV_LOOKUP_FAILED = _row("srv-lookup-failed", _WARN, _INFO,
        "DNS did not answer; info when it answered that there is no record")
    NO_SRV_DOMAIN = _row("no-srv-domain", _INFO, "there is no domain in which to look up SRV records")
    LINKS_WITHOUT_CA = _row("links-without-ca", _REFUSE,
        "members or gateways verify each other, but there is no CA for that")
    LEAFNODES_WITHOUT_CERTIFICATES = _row("leafnodes-without-certificates", _WARN,
        "leafnodes log in with certificates, but client certificates are off",
        remedy="set up TLS with a CA and verification, or remove this setting")
    OPEN_PEER_PORT = _row("open-peer-port", _WARN, "neither a login nor names in certificates distinguish peers "
                                                   "from other programs")
    OPEN_GATEWAY_PORT = _row("open-gateway-port", _WARN, "no names in certificates distinguish gateways from "
                                                         "other programs")
    CLEAR_TEXT_CLUSTER = _row("clear-text-cluster", _WARN, "`peer_tls` is off",
        remedy="set it to true once all members run this broker")
    CLEAR_TEXT_GATEWAY = _row("clear-text-gateway", _WARN, "`gateway_tls` is off",
        remedy="set it to true once all clusters run this broker")
    HALF_GATEWAY = _row("half-gateway", _WARN, "only one of `gateway_port` and `gateway_remotes`",
        remedy="set both, or neither")
    REMOTE_WITHOUT_URL = _row("remote-without-url", _SKIP, "a remote without address")
    BAD_URL = _row("bad-url", _SKIP,
        "a remote's address cannot be read: it is ignored, and so is the remote if it has no other")
    MIXED_URLS = _row("mixed-urls", _SKIP, "websocket and plain addresses in one leafnode remote",
        remedy="split it into two remotes")
    DUPLICATE_REMOTE = _row("duplicate-remote", _SKIP,
        "two leafnode remotes with the same address, account and credentials",
        remedy="list all addresses of that broker and its cluster in one remote")
    COMMON_CLUSTER_NAME = _row("common-cluster-name", _WARN, "a leafnode whose cluster has the default name")
    WEBSOCKET_SCHEME = _row("websocket-scheme", _WARN,
        "`ws://` with TLS on, or `wss://` with TLS off, in a leafnode remote")
    UNKNOWN_ACCOUNT = _row("unknown-account", _SKIP, "a leafnode remote is bound to an account that does not exist")
    BAD_CREDENTIALS = _row("bad-credentials", _SKIP,
        "the credentials file of a leafnode remote is missing, damaged, or not a credentials file")
    CREDENTIALS_EXPIRED = _row("credentials-expired", _WARN, "the credentials of a leafnode remote have expired")
    REMOTE_HALF_IDENTITY = _row("remote-half-identity", _SKIP, "only one of `tls.cert` and `tls.key`",
        remedy="set tls.cert and tls.key, or neither")
    REMOTE_FILE_MISSING = _row("remote-file-missing", _SKIP, "a TLS file of a remote does not exist",
        remedy="put the file there")
    REMOTE_CLEAR_TEXT = _row("remote-clear-text", _WARN, "TLS is off for a remote")
    REMOTE_NOT_VERIFIED = _row("remote-not-verified", _WARN, "a remote's certificate is not verified")
    ADDRESS_PATH = _row("address-path", _WARN, "a path in an address, which is ignored")
    ADDRESS_LOGIN = _row("address-login", _WARN, "a login in an address, which is ignored")

    # Streams, mappings, adapters, federation
    STORE_NOT_WRITABLE = _row("store-not-writable", _REFUSE, "the store of Choria Streams cannot be written")
    GATEWAY_STREAMS_WITHOUT_PEERS = _row("gateway-streams-without-peers", _REFUSE,
        "Choria Streams with gateways need a cluster")
    STREAMS_AROUND_LIMITS = _row("streams-around-limits", _WARN,
        "a client that is limited by address, certificate or token can use Streams to get around the limit")
    STORE_FULL = _row("store-full", _REFUSE, "at start: no space in the file system of the store")
    STORE_NEARLY_FULL = _row("store-nearly-full", _WARN, "little space in the file system of the store")
    STREAMS_BEFORE_CLUSTER = _row("streams-before-cluster", _REFUSE,
        "the store has streams that this broker used without peers, or that the cluster's records do not name: members"
        " would delete them")
    STREAMS_OF_CLUSTER = _row("streams-of-cluster", _WARN, _REFUSE,
        "the store belongs to a member of a cluster, but there are no peers; refused when the name servers did "
        "not answer")
    STREAMS_OF_OTHER_BROKER = _row("streams-of-other-broker", _REFUSE, "the store belongs to a member with "
                                                                       "another identity")
    STREAMS_BEFORE_JOINING = _row("streams-before-joining", _REFUSE,
        "gateways, or a leafnode remote of the system account, are new or connect to other hosts, and the store has "
        "older streams")
    STREAMS_OF_OTHER_CLUSTER = _row("streams-of-other-cluster", _REFUSE,
        "the store belongs to a cluster none of whose members is a peer")
    STREAMS_OF_RENAMED_CLUSTER = _row("streams-of-renamed-cluster", _INFO,
        "the cluster of the store has another name now, and streams made before cannot get more copies until they are "
        "placed in it")
    STREAMS_OF_NO_ACCOUNT = _row("streams-of-no-account", _WARN,
        "streams in the store belong to accounts that are not configured")
    STREAMS_KEPT = _row("streams-kept", _WARN,
        "files of streams that the engine would have deleted, or truncated because of damage, are in the store")
    STREAMS_ALONE_IN_CLUSTER = _row("streams-alone-in-cluster", _REFUSE,
        "Choria Streams with `peers` that name only this broker")
    MANY_REPLICAS = _row("many-replicas", _WARN, "more than five copies of a stream")
    MORE_REPLICAS_THAN_PEERS = _row("more-replicas-than-peers", _WARN, "more copies than there are members",
        remedy="write -1, or add peers")
    EVEN_REPLICAS = _row("even-replicas", _INFO, "one copy on each peer, and an even number of peers",
        remedy="use an odd number of peers if you can; otherwise nothing to do")
    ELECTION_TTL = _row("election-ttl", _WARN, "a `leader_election_ttl` above a minute or below 5 seconds")
    SLOW_SYNC = _row("slow-sync", _WARN, "a `stream.sync` longer than the engine's default")
    EVENTS_NOT_KEPT = _row("events-not-kept", _INFO,
        "`publish_events` is on, but this broker does not keep the stream `CHORIA_EVENTS`",
        remedy="turn Choria Streams on, or have something else subscribe to choria.broker.event.>")
    BAD_MAPPING = _row("bad-mapping", _SKIP, "a subject mapping is incomplete or wrong")
    REPEATED_MAPPING = _row("repeated-mapping", _WARN,
        "a mapping replaces an earlier one with the same source",
        remedy="remove one of the two")
    UNREACHABLE_MAPPING = _row("unreachable-mapping", _WARN, "an earlier mapping already matches all subjects "
                                                             "of a later one")
    ODD_MAPPING = _row("odd-mapping", _WARN, "a destination that works but is probably not what was meant")
    ADAPTER_WITHOUT_TYPE = _row("adapter-without-type", _REFUSE, _SKIP, "an adapter without type")
    ADAPTER_TYPE = _row("adapter-type", _REFUSE, _SKIP, "an unknown or retired type of adapter")
    ADAPTER_WITHOUT_TOPIC = _row("adapter-without-topic", _REFUSE, _SKIP, "an adapter without a subject to read")
    ADAPTER_SUBJECT = _row("adapter-subject", _REFUSE, _SKIP,
        "a subject of an adapter is not valid, or its name cannot be part of a subject")
    BAD_ADDRESS = _row("bad-address", _REFUSE, _SKIP, "an address of an adapter or of the federation cannot be read")
    FEDERATION_CLUSTER = _row("federation-cluster", _REFUSE, _SKIP,
        "the name of a federation cluster cannot be a part of a subject")
    COMPANION_TOKEN = _row("companion-token", _WARN, _REFUSE,
        "the token of adapters and the federation broker cannot be used, or does not permit what they need")
    NO_FEDERATION_HOSTS = _row("no-federation-hosts", _REFUSE, _SKIP,
        "a federation broker with no broker to connect to")


# fmt: on

SECTIONS = {
    "Files and lines": Code.CONFIG_UNREADABLE,
    "Keys and values": Code.UNKNOWN_KEY,
    "The broker as a whole": Code.NOTHING_ENABLED,
    "TLS": Code.NO_SSLDIR,
    "Who is trusted": Code.NO_ISSUER_KEY,
    "Who is revoked": Code.CRL_UNREADABLE,
    "Operator mode": Code.OPERATOR_CONFLICT,
    "Cluster, gateways, leafnodes": Code.BAD_PEER,
    "Streams, mappings, adapters, federation": Code.STORE_NOT_WRITABLE,
}
"""Titles of the parts of the table, with the first code of each."""
