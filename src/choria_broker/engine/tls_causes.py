"""What the engine's words about a TLS connection that failed mean, in plain words."""

from __future__ import annotations

from choria_broker.patterns import expression

_SHA1 = "a certificate of the other side is signed with SHA-1, which is not secure: have it issued again with SHA-256"
_MD5 = "a certificate of the other side is signed with MD5, which is not secure: have it issued again with SHA-256"
_NOT_A_CA = (
    "the certificate that issued the other side's is not a CA: it lacks the basic constraint CA:TRUE, or "
    "keyCertSign in its key usage"
)
_NO_NAMES = (
    "the other side's certificate has its name only in the common name, which does not count: it needs "
    "subject alternative names"
)
_REFUSED = (
    "the other side refused this broker's certificate: see its log for the reason, and run choria-broker check here"
)
_USAGE = (
    "the other side's certificate is not for this use: its extended key usage, or that of a CA above it, "
    "lacks clientAuth where it connected to this broker, or serverAuth where this broker connected to it"
)
_ADDRESS = (
    "the other side is listed here by an address that is not in its certificate: list it by its name, or "
    "add the address to the certificate"
)

_CAUSES: tuple[tuple[str, str], ...] = (
    (r"insecure algorithm \S*SHA1", _SHA1),
    (r"insecure algorithm \S*MD5", _MD5),
    (r"cannot sign this kind of certificate|not authorized to sign other certificates", _NOT_A_CA),
    (r"too many intermediates", "a CA above the other side's certificate allows fewer intermediate CAs below it"),
    (r"-bit keys are insecure", "a certificate of the other side has an RSA key that is too short"),
    (
        r"not authorized to sign for this name|is not permitted by any constraint|is excluded by constraint",
        "a CA above the other side's certificate does not permit the names in it",
    ),
    (
        r"incompatible key usage|not authorized for an extended key usage",
        _USAGE,
    ),
    (
        r"not yet valid: current time \S+ is before",
        "a certificate of the other side is not valid yet: compare the clocks of both machines",
    ),
    (
        r"has expired or is not yet valid",
        "a certificate of the other side has expired: renew it, or correct the clock",
    ),
    (r"legacy Common Name|not valid for any names", _NO_NAMES),
    (
        r"doesn't contain any IP SANs|IP SANs, but none matched",
        _ADDRESS,
    ),
    (
        r"certificate is valid for .*(, not |none matched )",
        "the other side is listed here by a name that is not in its certificate",
    ),
    (
        r"unhandled critical extension",
        "a certificate of the other side has a critical extension that is not supported",
    ),
    (r"negative serial number", "a certificate of the other side has a negative serial number, which is refused"),
    (r"unsupported elliptic curve", "a certificate of the other side has a key on an unsupported curve"),
    (r"RSA key larger than", "a certificate of the other side has an RSA key of more than 8192 bits"),
    (r"signed by unknown authority", "the CA that issued the other side's certificate is not in the CA file here"),
    (
        r"didn't provide a certificate",
        "the other side sent no certificate: it has none, or none from a CA that this broker trusts",
    ),
    (
        r"doesn't support any of the certificate's signature algorithms|no signature algorithm|unsupported certificate",
        "the other side cannot use this broker's kind of key: use RSA with 2048 to 4096 bits, or P-256",
    ),
    (r"first record does not look like a TLS handshake", "the other side does not use TLS, which is required here"),
    (
        r"offered only unsupported versions|protocol version",
        "one side supports only TLS 1.1 or older; 1.2 is required",
    ),
    (r"no cipher suite supported by both", "the two sides have no cipher suite in common"),
    (
        r"remote error: tls: (unknown certificate authority|unknown ca)",
        "the CA that issued this broker's certificate is not in the other side's CA file",
    ),
    (
        r"remote error: tls: expired certificate",
        "for the other side this broker's certificate has expired: renew it, or compare the clocks",
    ),
    (r"remote error: tls: certificate required", "the other side requires a certificate, and this broker sent none"),
    (r"remote error: tls: (bad|unsupported|unknown|revoked) certificate", _REFUSED),
)
_PATTERNS = tuple((expression(pattern), cause) for pattern, cause in _CAUSES)
_ABOUT_TLS = expression(r"TLS .*handshake|TLS handshake|x509: |tls: ")


_OURS = expression(r"remote error: tls: (bad|expired|unknown|unsupported) certificate(?! authority)")


def refuses_ours(text: str) -> bool:
    """Tell whether the other side refused a certificate of this broker, by the engine's words."""
    return bool(_OURS.search(text))


def plain_cause(text: str) -> str:
    """Say in plain words why a TLS connection failed.

    Args:
        text: what the engine says.

    Returns:
        The cause, without a final full stop; empty when the line is about something else, or says it plainly itself.
    """
    if not _ABOUT_TLS.search(text):
        return ""
    return next((cause for pattern, cause in _PATTERNS if pattern.search(text)), "")
