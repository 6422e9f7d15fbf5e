from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.security.distinguished_names import parts_of

PUPPET = ("cn=puppet ca: puppet.example.net",)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("CN=Puppet CA: puppet.example.net", PUPPET),
        ("CN = Puppet CA:  puppet.example.net", PUPPET),
        ("/CN=Puppet CA: puppet.example.net", PUPPET),
        ("cn=PUPPET CA: puppet.example.net,", PUPPET),
        ("CN=CA,O=Example", ("cn=ca", "o=example")),
        ("O=Example, CN=CA", ("cn=ca", "o=example")),
        ("/O=Example/CN=CA", ("cn=ca", "o=example")),
        ("/O=Example/CN=a/b", ("cn=a/b", "o=example")),
        (r"CN=CA,O=Example\, Inc", ("cn=ca", "o=example, inc")),
        (r"CN=\C3\A9t\C3\A9", ("cn=été",)),
        ("CN=a+OU=b,O=c", ("cn=a", "o=c", "ou=b")),
        ("emailAddress=a@b,CN=c", ("cn=c", "emailaddress=a@b")),
        ("1.2.840.113549.1.9.1=#1603614062,CN=c", ("cn=c", "emailaddress=a@b")),
        ("OID.2.5.4.17=x", ("2.5.4.17=x",)),
        ("1.2.3.4=#1681036140", ("1.2.3.4=#1681036140",)),
        ("1.2.3.4=#16810361406c", ("1.2.3.4=a@l",)),
        ("1.2.3.4=#zz", ("1.2.3.4=#zz",)),
        ("CN=", ("cn=",)),
    ],
)
def test_names_have_one_spelling(text: str, parts: tuple[str, ...]) -> None:
    assert parts_of(text) == tuple(sorted(parts))


@pytest.mark.parametrize("text", ["", " ", "nonsense", "CN", "=x", "CN=a,b", "CN=a\\", "C N=a"])
def test_what_is_no_name_has_no_parts(text: str) -> None:
    assert parts_of(text) == ()


VALUES = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp", "Zs")), min_size=1, max_size=20
)


@given(st.lists(st.tuples(st.sampled_from([NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME]), VALUES), min_size=1))
def test_the_order_does_not_count_and_values_do(parts: list[tuple[x509.ObjectIdentifier, str]]) -> None:
    name = x509.Name([x509.NameAttribute(kind, value) for kind, value in parts])
    turned = x509.Name([x509.NameAttribute(kind, value) for kind, value in reversed(parts)])
    found = parts_of(name.rfc4514_string())
    assert found == parts_of(turned.rfc4514_string())
    short = {NameOID.COMMON_NAME: "cn", NameOID.ORGANIZATION_NAME: "o"}
    assert found == tuple(sorted(f"{short[kind]}={' '.join(value.split()).casefold()}" for kind, value in parts))
