"""Files of certificates, keys and CAs, with what is to be said about each. Go's own TLS gets the same ones."""

from __future__ import annotations

import dataclasses
import ipaddress

from cryptography import x509

from support.certificates import (
    ANY,
    CLIENT,
    DAY,
    HOST,
    MAIL,
    NOW,
    SERVER,
    STRANGE,
    Made,
    authority,
    broker,
    issue,
    key_usage,
    stored,
)

DNS, IP, URI = x509.DNSName, x509.IPAddress, x509.UniformResourceIdentifier


@dataclasses.dataclass(frozen=True)
class Case:
    """Three files, and what is wrong with them.

    Attributes:
        certificate, key, ca: content of the files.
        server: code of the problem because of which nobody comes in, empty when clients do.
        client: code of the problem because of which the broker gets in nowhere as a client.
        said: codes of the problems that only deserve a warning.
        words: what one of the problems says.
        host: the name that clients connect to.
    """

    certificate: bytes
    key: bytes
    ca: bytes
    server: str = ""
    client: str = ""
    said: tuple[str, ...] = ()
    words: str = ""
    host: str = HOST


def both(code: str, certificate: bytes, key: bytes, ca: bytes, *said: str, words: str = "") -> Case:
    """A problem that breaks everything."""
    return Case(certificate, key, ca, code, code, said, words)


ROOT = authority()
OTHER = authority("other")
MIDDLE = authority("middle", ROOT)
LOWER = authority("lower", MIDDLE)
LEAF = broker(ROOT)
DEEP = broker(MIDDLE)
DEEPER = broker(LOWER)
ALONE = issue("alone", names=(DNS(HOST),))
BAD_CA, BAD_MIDDLE = issue("root", private=ROOT.key, ca=False), issue("middle", ROOT, private=MIDDLE.key)
OLD_ROOT = authority(private=ROOT.key, end=NOW - DAY)
MARK = b"\xef\xbb\xbf"
INDENTED = b"".join(b"  " + line + b"\n" for line in LEAF.pem.splitlines())
ROOT_INDENTED = b"".join(b"  " + line + b"\n" for line in ROOT.pem.splitlines())
TOP0, TOP1 = authority("top", length=0), authority("top", length=1)
M0, M1 = authority("m", TOP1, length=0), authority("m", TOP0)
SIGNS = authority("signs", None, key_usage(signs=True))
STRANGE_CA = authority("strange", None, STRANGE, critical=True)
STRICT = authority("strict", ROOT, x509.PolicyConstraints(0, None), critical=True)


def whole(leaf: Made, ca: Made, *sent: Made, code: str = "", words: str = "") -> Case:
    """Present a certificate with some others."""
    return Case(leaf.pem + b"".join(each.pem for each in sent), leaf.key_pem, ca.pem, code, code, words=words)


def under(*extensions: x509.ExtensionType, names: tuple[x509.GeneralName, ...] = (DNS(HOST),), code: str = "") -> Case:
    """A broker below a CA with name constraints."""
    ca = authority("constrained", None, *extensions, critical=True)
    leaf = broker(ca, names=names)
    return both(code, leaf.pem, leaf.key_pem, ca.pem) if code else Case(leaf.pem, leaf.key_pem, ca.pem)


def permitted(*names: x509.GeneralName) -> x509.NameConstraints:
    return x509.NameConstraints(permitted_subtrees=names, excluded_subtrees=None)


def excluded(*names: x509.GeneralName) -> x509.NameConstraints:
    return x509.NameConstraints(permitted_subtrees=None, excluded_subtrees=names)


def usages(*wanted: x509.ObjectIdentifier) -> tuple[bytes, bytes, bytes]:
    leaf = broker(ROOT, usages=wanted)
    return leaf.pem, leaf.key_pem, ROOT.pem


def below(ca_usages: tuple[x509.ObjectIdentifier, ...]) -> tuple[bytes, bytes, bytes]:
    ca = authority("limited", usages=ca_usages)
    leaf = broker(ca)
    return leaf.pem, leaf.key_pem, ca.pem


def made(name: str, ca: str = "root") -> tuple[bytes, bytes, bytes]:
    return stored(f"{name}.pem"), stored(f"{name}.key"), stored(f"{ca}.pem")


def named(*names: x509.GeneralName, host: str = HOST, said: tuple[str, ...] = ()) -> Case:
    leaf = broker(ROOT, names=names)
    return Case(leaf.pem, leaf.key_pem, ROOT.pem, said=said, host=host)


GOOD = {
    "a good one": Case(LEAF.pem, LEAF.key_pem, ROOT.pem),
    "an intermediate": Case(DEEP.pem + MIDDLE.pem, DEEP.key_pem, ROOT.pem),
    "two intermediates": Case(DEEPER.pem + LOWER.pem + MIDDLE.pem, DEEPER.key_pem, ROOT.pem),
    "intermediates in the wrong order": Case(DEEPER.pem + MIDDLE.pem + LOWER.pem, DEEPER.key_pem, ROOT.pem),
    "the root in the chain": Case(DEEP.pem + ROOT.pem + MIDDLE.pem, DEEP.key_pem, ROOT.pem),
    "duplicates": Case(LEAF.pem * 2, LEAF.key_pem, ROOT.pem * 3),
    "the intermediate is trusted": Case(DEEP.pem, DEEP.key_pem, MIDDLE.pem),
    "a bundle of CAs": Case(DEEP.pem, DEEP.key_pem, OTHER.pem + ROOT.pem + MIDDLE.pem),
    "carriage returns": Case(
        LEAF.pem.replace(b"\n", b"\r\n"), LEAF.key_pem.replace(b"\n", b"\r\n"), ROOT.pem.replace(b"\n", b"\r\n")
    ),
    "text between the blocks": Case(
        b"Certificate:\n  Data: x\n" + DEEP.pem + b"# CA\n\n" + MIDDLE.pem + b"end", b"\nkey\n" + DEEP.key_pem, ROOT.pem
    ),
    "blanks behind the lines": Case(LEAF.pem.replace(b"\n", b" \t\n"), LEAF.key_pem, ROOT.pem),
    "no last line feed": Case(LEAF.pem.rstrip(), LEAF.key_pem.rstrip(), ROOT.pem.rstrip()),
    "key and certificate in one file": Case(LEAF.key_pem + LEAF.pem, LEAF.key_pem + LEAF.pem, ROOT.pem),
    "a renewed CA beside the old one": Case(LEAF.pem, LEAF.key_pem, OLD_ROOT.pem + ROOT.pem),
    "any usage": Case(*usages(ANY)),
    "no usages": Case(*usages()),
    "any usage in the CA": Case(*below((ANY,))),
    "path length enough": whole(broker(M0), TOP1, M0),
    "keyCertSign": whole(broker(SIGNS), SIGNS),
    "critical alternative names": whole(
        broker(ROOT, x509.SubjectAlternativeName([DNS(HOST)]), names=(), critical=True), ROOT
    ),
    "ed25519": Case(*made("ed25519")),
    "P-384": Case(*made("secp384r1")),
    "P-521": Case(*made("secp521r1")),
    "SHA-512": Case(*made("sha512")),
    "RSA-PSS": Case(*made("pss")),
    "a root signed with SHA-1": Case(*made("under-sha1-root", "sha1-root")),
    "serial number 0": Case(*made("serial0")),
    "a key with parameters before it": Case(*made("with-parameters")),
    "permitted": under(permitted(DNS("example.net"))),
    "permitted by a dot": under(permitted(DNS(".example.net"))),
    "permitted in other case": under(permitted(DNS("EXAMPLE.net"))),
    "permitted addresses alone": under(permitted(IP(ipaddress.ip_network("10.0.0.0/8")))),
    "not excluded": under(excluded(DNS("example.com"), DNS("roker.example.net"))),
    "permitted address": under(
        permitted(IP(ipaddress.ip_network("10.0.0.0/8"))), names=(DNS(HOST), IP(ipaddress.ip_address("10.1.2.3")))
    ),
    "permitted wildcard": under(permitted(DNS("example.net")), names=(DNS("*.example.net"),)),
}
"""Files with which everybody gets in, and about which there is nothing to say."""

BAD = {
    # The form of the files.
    "no certificate": both("tls-no-pem", b"", LEAF.key_pem, ROOT.pem, words="the file is empty"),
    "junk": both("tls-no-pem", b"junk", LEAF.key_pem, ROOT.pem),
    "the key instead": both("tls-no-pem", LEAF.key_pem, LEAF.pem, ROOT.pem, "tls-no-key", words="a PRIVATE KEY"),
    "a byte order mark": both("tls-no-pem", MARK + LEAF.pem, LEAF.key_pem, ROOT.pem, words="byte order mark"),
    "indented": both("tls-no-pem", INDENTED, LEAF.key_pem, ROOT.pem, words="indented"),
    "indented by a tab": both("tls-no-pem", INDENTED.replace(b"  ", b"\t"), LEAF.key_pem, ROOT.pem, words="indented"),
    "DER": both("tls-no-pem", LEAF.der, LEAF.key_pem, ROOT.pem, words="in DER form"),
    "UTF-16": both("tls-no-pem", LEAF.pem.decode().encode("utf-16"), LEAF.key_pem, ROOT.pem, words="UTF-16"),
    "carriage returns alone": both(
        "tls-no-pem", LEAF.pem.replace(b"\n", b"\r"), LEAF.key_pem, ROOT.pem, words="return"
    ),
    "text before the dashes": both("tls-no-pem", b"cert: " + LEAF.pem, LEAF.key_pem, ROOT.pem, words="text before"),
    "text behind the dashes": both(
        "tls-no-pem",
        LEAF.pem.replace(b"CATE-----\n", b"CATE----- x\n", 1),
        LEAF.key_pem,
        ROOT.pem,
        words="text after",
    ),
    "another label": both(
        "tls-no-pem", LEAF.pem.replace(b"CERT", b"TRUSTED CERT"), LEAF.key_pem, ROOT.pem, words="TRUSTED"
    ),
    "cut off": both("tls-bad-pem", LEAF.pem[:200], LEAF.key_pem, ROOT.pem),
    "not base64": both("tls-bad-pem", LEAF.pem.replace(b"MII", b"M?I", 1), LEAF.key_pem, ROOT.pem),
    "not a certificate inside": both(
        "tls-bad-pem", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", LEAF.key_pem, ROOT.pem
    ),
    "a mark before the leaf of a chain": both(
        "tls-key-mismatch", MARK + DEEP.pem + MIDDLE.pem, DEEP.key_pem, ROOT.pem, "tls-bad-pem", words="byte order mark"
    ),
    "no CA": both("tls-no-pem", LEAF.pem, LEAF.key_pem, b""),
    "a CA in DER": both("tls-no-pem", LEAF.pem, LEAF.key_pem, ROOT.der, words="in DER form"),
    "a CA with a byte order mark": both("tls-no-pem", LEAF.pem, LEAF.key_pem, MARK + ROOT.pem, words="byte order mark"),
    "an indented CA": both("tls-no-pem", LEAF.pem, LEAF.key_pem, ROOT_INDENTED, words="indented"),
    "the CA behind a byte order mark": both(
        "tls-untrusted", LEAF.pem, LEAF.key_pem, MARK + ROOT.pem + OTHER.pem, "tls-bad-pem", words="byte order mark"
    ),
    "no key": both("tls-no-key", LEAF.pem, b"", ROOT.pem),
    "a certificate for a key": both("tls-no-key", LEAF.pem, LEAF.pem, ROOT.pem),
    "a key with a byte order mark": both(
        "tls-no-key", LEAF.pem, MARK + LEAF.key_pem, ROOT.pem, words="byte order mark"
    ),
    "an encrypted key": both("tls-key-encrypted", LEAF.pem, stored("encrypted-pkcs8.key"), ROOT.pem),
    "a key encrypted as of old": both("tls-key-encrypted", LEAF.pem, stored("encrypted-legacy.key"), ROOT.pem),
    "another key": both("tls-key-mismatch", LEAF.pem, ROOT.key_pem, ROOT.pem),
    "the chain upside down": both("tls-key-mismatch", MIDDLE.pem + DEEP.pem, DEEP.key_pem, ROOT.pem, words="first"),
    # Keys and signatures.
    "SHA-1": both("tls-weak-signature", *made("sha1"), words="SHA-1"),
    "MD5": both("tls-weak-signature", *made("md5"), words="MD5"),
    "SHA-224": both("tls-weak-signature", *made("sha224"), words="SHA224"),
    "odd RSA-PSS": both("tls-weak-signature", *made("odd-pss"), words="RSA-PSS"),
    "a CA with RSA 768": both(
        "tls-weak-signature", *made("under-short-root", "short-root"), "tls-weak-key", words="768"
    ),
    "RSA 768": both("tls-weak-key", *made("rsa768"), words="768"),
    "RSA 1000": both("tls-weak-key", *made("rsa1000"), words="1000"),
    "RSA 8200": both("tls-weak-key", *made("rsa8200"), words="8200"),
    "P-224": both("tls-weak-key", *made("secp224r1"), words="P-224"),
    "brainpool": both("tls-bad-pem", *made("brainpoolP256r1"), words="brainpool"),
    "secp256k1": both("tls-bad-pem", *made("secp256k1"), words="secp256k1"),
    "ed448": both("tls-weak-key", *made("ed448"), "tls-no-key"),
    "DSA": both("tls-weak-key", *made("dsa"), "tls-no-key"),
    "a key for RSA-PSS alone": both("tls-weak-key", *made("rsa-pss-key")),
    "a negative serial number": both("tls-bad-pem", *made("serial-7"), words="negative serial"),
    # Who issued it.
    "another CA": both("tls-untrusted", LEAF.pem, LEAF.key_pem, OTHER.pem),
    "an intermediate is missing": both("tls-untrusted", DEEP.pem, DEEP.key_pem, ROOT.pem, words="CN=middle"),
    "a CA of the same name": both("tls-untrusted", LEAF.pem, LEAF.key_pem, authority().pem),
    "the CA is none": both("tls-bad-ca", LEAF.pem, LEAF.key_pem, BAD_CA.pem, "tls-bad-ca", words="CA:FALSE"),
    "the intermediate is none": both("tls-bad-ca", DEEP.pem + BAD_MIDDLE.pem, DEEP.key_pem, ROOT.pem, words="CA:TRUE"),
    "a CA without basic constraints": both(
        "tls-bad-ca", LEAF.pem, LEAF.key_pem, issue("root", private=ROOT.key).pem, "tls-bad-ca", words="CA:TRUE"
    ),
    "a CA without keyCertSign": both(
        "tls-bad-ca",
        LEAF.pem,
        LEAF.key_pem,
        authority("root", None, key_usage(signs=False), private=ROOT.key).pem,
        "tls-bad-ca",
        words="keyCertSign",
    ),
    "path length": whole(broker(M1), TOP0, M1, code="tls-bad-ca", words="fewer"),
    "a CA of a critical kind": whole(broker(STRANGE_CA), STRANGE_CA, code="tls-bad-ca", words="1.2.3.4"),
    "something critical": whole(broker(ROOT, STRANGE, critical=True), ROOT, code="tls-bad-ca", words="1.2.3.4"),
    "policies that are demanded": whole(broker(STRICT), ROOT, STRICT, code="tls-bad-ca", words="policies"),
    # Dates.
    "expired": whole(broker(ROOT, end=NOW - DAY), ROOT, code="tls-expired"),
    "not yet valid": whole(broker(ROOT, begin=NOW + DAY), ROOT, code="tls-not-yet-valid"),
    "an expired CA": both("tls-expired", LEAF.pem, LEAF.key_pem, OLD_ROOT.pem, "tls-expired"),
    "an expired intermediate": both(
        "tls-expired",
        DEEP.pem + authority("middle", ROOT, private=MIDDLE.key, end=NOW - DAY).pem,
        DEEP.key_pem,
        ROOT.pem,
    ),
    # What it is for.
    "for clients": Case(*usages(CLIENT), server="tls-not-for-servers", words="serverAuth"),
    "for servers": Case(*usages(SERVER), client="tls-not-for-clients", words="clientAuth"),
    "for mail": Case(*usages(MAIL), server="tls-not-for-servers", client="tls-not-for-clients"),
    "a CA for clients": Case(*below((CLIENT,)), server="tls-not-for-servers"),
    "a CA for servers": Case(*below((SERVER,)), client="tls-not-for-clients", said=("tls-not-for-clients",)),
    # Names that its CA does not allow.
    "not permitted": under(permitted(DNS("example.com")), code="tls-forbidden-name"),
    "not permitted by a dot": under(permitted(DNS(f".{HOST}")), code="tls-forbidden-name"),
    "permitted in part": under(
        permitted(DNS("example.net")), names=(DNS(HOST), DNS("localhost")), code="tls-forbidden-name"
    ),
    "excluded": under(excluded(DNS(HOST)), code="tls-forbidden-name"),
    "excluded from above": under(excluded(DNS("net")), code="tls-forbidden-name"),
    "excluded by a wildcard": under(
        excluded(DNS("broker.example.net")), names=(DNS("*.example.net"),), code="tls-forbidden-name"
    ),
    "excluded address": under(
        excluded(IP(ipaddress.ip_network("10.0.0.0/8"))),
        names=(DNS(HOST), IP(ipaddress.ip_address("10.0.0.1"))),
        code="tls-forbidden-name",
    ),
    "address of the other version": under(
        permitted(IP(ipaddress.ip_network("10.0.0.0/8"))),
        names=(DNS(HOST), IP(ipaddress.ip_address("2001:db8::1"))),
        code="tls-forbidden-name",
    ),
    "URI": under(
        excluded(URI("example.net")), names=(DNS(HOST), URI("https://a.example.net/x")), code="tls-forbidden-name"
    ),
    "constraints of a kind that is not compared": under(
        permitted(x509.DirectoryName(x509.Name([]))), code="tls-bad-ca"
    ),
}
"""Files with which something fails."""

ODD = {
    "RSA 1024": Case(*made("rsa1024"), said=("tls-weak-key",), words="1024"),
    "RSA 1536": Case(*made("rsa1536"), said=("tls-weak-key",)),
    "its own CA": Case(ALONE.pem, ALONE.key_pem, ALONE.pem, said=("tls-leaf-in-ca",)),
    "the leaf beside the CA": Case(LEAF.pem, LEAF.key_pem, LEAF.pem + ROOT.pem, said=("tls-leaf-in-ca",)),
    "the leaf instead of the CA": Case(
        LEAF.pem, LEAF.key_pem, LEAF.pem, client="tls-untrusted", said=("tls-leaf-in-ca",)
    ),
    "a CA that is none beside one": Case(
        LEAF.pem, LEAF.key_pem, ROOT.pem + issue("x", ca=False).pem, said=("tls-bad-ca",), words="CN=x is not a CA"
    ),
    "an expired CA beside one": Case(
        LEAF.pem,
        LEAF.key_pem,
        ROOT.pem + authority("x", end=NOW - DAY).pem,
        said=("tls-expired",),
        words="CN=x expired",
    ),
    "a CA for servers beside one": Case(
        LEAF.pem, LEAF.key_pem, ROOT.pem + authority("x", usages=(SERVER,)).pem, said=("tls-not-for-clients",)
    ),
    "a damaged CA beside one": Case(LEAF.pem, LEAF.key_pem, ROOT.pem + OTHER.pem[:100], said=("tls-bad-pem",)),
    "an indented CA beside one": Case(
        LEAF.pem, LEAF.key_pem, OTHER.pem + ROOT.pem + ROOT_INDENTED, said=("tls-bad-pem",), words="indented"
    ),
    "a CA on a strange curve beside one": Case(
        LEAF.pem, LEAF.key_pem, ROOT.pem + stored("secp256k1.pem"), said=("tls-bad-pem",), words="secp256k1"
    ),
    "a wildcard": named(DNS("*.example.net")),
    "a wildcard for two labels": named(DNS("*.net"), said=("tls-name-mismatch",)),
    "a wildcard inside a label": named(DNS("b*.example.net"), said=("tls-name-mismatch",)),
    "a bare wildcard": named(DNS("*"), host="broker", said=("tls-name-mismatch",)),
    "another case": named(DNS("BROKER.example.NET")),
    "another name": named(DNS("b.example.net"), said=("tls-name-mismatch",)),
    "one of several names": named(DNS("b.example.net"), DNS(HOST)),
    "a final dot in the certificate": named(DNS(f"{HOST}."), said=("tls-name-mismatch",)),
    "a final dot in the host": named(DNS(HOST), host=f"{HOST}."),
    "an address": named(IP(ipaddress.ip_address("192.0.2.1")), host="192.0.2.1"),
    "an IPv6 address": named(IP(ipaddress.ip_address("2001:db8::1")), host="2001:db8:0::1"),
    "an address as a name": named(DNS("192.0.2.1"), host="192.0.2.1", said=("tls-name-mismatch",)),
    "another address": named(IP(ipaddress.ip_address("192.0.2.2")), host="192.0.2.1", said=("tls-name-mismatch",)),
    "names of other kinds": named(URI("https://broker.example.net"), said=("tls-common-name-only",)),
    "names only in the common name": named(said=("tls-common-name-only",)),
}
"""Files with which everybody gets in who looks at what they have in common."""

CASES = {**GOOD, **BAD, **ODD}
