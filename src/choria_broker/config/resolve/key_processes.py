"""Which private keys of TLS are held by key processes, and what a long one costs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from choria_broker.config.resolve.context import Context
from choria_broker.config.resolve.providers import about_file, chosen_provider
from choria_broker.security.tls_files import rsa_bits
from choria_broker.security.tls_problems import Part
from choria_broker.settings.finding_codes import Code
from choria_broker.settings.network import Network
from choria_broker.settings.security import Provider
from choria_broker.settings.tls import KeyProcesses, Tls

_ENOUGH = 2048
"""Bits of an RSA key that nobody objects to, and that costs little."""


def keys_outside(context: Context, tls: Tls, network: Network) -> frozenset[Path]:
    """Return the files of the keys that are held by key processes.

    Args:
        context: inputs.
        tls: how TLS is used.
        network: everything else about the network broker.
    """
    if tls.key_processes is KeyProcesses.NEVER:
        return frozenset()
    every = tls.key_processes is KeyProcesses.ALWAYS
    return frozenset(path for path in _used(tls, network) if every or rsa_bits(context.facts.file(path).content))


def _used(tls: Tls, network: Network) -> Iterator[Path]:
    """List the key files that the engine would read."""
    if tls.files and tls.enabled:
        yield tls.files.key
    remotes = [each.tls for each in network.gateway.remotes] + [each.tls for each in network.leafnodes.remotes]
    for remote in remotes:
        if remote.key and not remote.disabled:
            yield remote.key


def check_length(context: Context, tls: Tls) -> None:
    """Say what a long RSA key costs."""
    bits = rsa_bits(context.facts.file(tls.files.key).content) if tls.files and tls.enabled else 0
    if bits <= _ENOUGH:
        return
    times = round((bits / _ENOUGH) ** 3)
    renew = (
        "set key_type = ec in puppet.conf of this machine and have Puppet create a new key and certificate"
        if chosen_provider(context.values) is Provider.PUPPET
        else "request a certificate with an ECDSA key on P-256"
    )
    context.collector.info(
        Code.TLS_LONG_KEY,
        problem=f"an RSA key of {bits} bits",
        effect=f"each new connection needs a signature, about {times} times as much CPU time as with {_ENOUGH} bits "
        "and many times as much as with an ECDSA key, so a fleet reconnects more slowly after a restart; choria-broker "
        "capacity measures how long on this machine",
        remedy=renew,
        at=about_file(context.values, Part.KEY),
    )
