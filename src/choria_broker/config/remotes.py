"""What gateway and leafnode remotes have in common: addresses and TLS."""

from __future__ import annotations

import dataclasses

from choria_broker.config.collector import Subject
from choria_broker.config.context import Context, network_key
from choria_broker.config.endpoints import ParsedEndpoint, parse_endpoint
from choria_broker.config.settings import Endpoint, RemoteTls, Tls
from choria_broker.config.values import BadValueError
from choria_broker.security.tls_files import Part, inspect

CHORIA_CA = "plugin.security.choria.ca"
"""Key of the CA of the one provider that may have none."""


def without_ca(tls: Tls) -> bool:
    """Tell whether the broker uses TLS between brokers and has no CA to verify others with."""
    return tls.everywhere and tls.files is not None and tls.files.ca is None


@dataclasses.dataclass(frozen=True, slots=True)
class Remote:
    """One remote while its settings are read.

    Attributes:
        context: inputs.
        prefix: start of its keys.
        title: what messages call it, such as ``leafnode remote HQ``.
        listed: name of the setting that lists it.
    """

    context: Context
    prefix: str
    title: str
    listed: str

    def skip(self, code: str, problem: str, remedy: str, at: Subject) -> None:
        """Leave this remote out."""
        self.context.collector.skip(code, problem, f"{self.title} is left out", remedy, at)

    def urls(self, name: str, scheme: str) -> tuple[Endpoint, ...]:
        """Return the addresses, empty when the remote cannot be used."""
        key, values = self.prefix + name, self.context.values
        texts = values.items(key)
        if not texts:
            at = values.absent(key, network_key(self.listed))
            self.skip("remote-without-url", "not set", f"set {key} to host:port", at)
        found = []
        for text in texts:
            try:
                parsed = parse_endpoint(text, scheme)
            except BadValueError as error:
                self.skip("bad-url", error.problem, error.remedy, values.subject(key, text))
                return ()
            report_dropped_parts(self.context, key, text, parsed)
            found.append(dataclasses.replace(parsed.endpoint, user="", password=None))
        return tuple(dict.fromkeys(found))

    def tls(self, urls: tuple[Endpoint, ...]) -> RemoteTls | None:
        """Return how TLS is used with addresses, None when own files cannot be used."""
        values = self.context.values
        disabled = values.flag(self.prefix + "tls.disable")
        tls = RemoteTls(
            values.path(self.prefix + "tls.cert"),
            values.path(self.prefix + "tls.key"),
            values.path(self.prefix + "tls.ca"),
            values.flag(self.prefix + "tls.verify"),
            disabled,
        )
        if not self._usable(tls):
            return None
        if disabled and any(url.scheme != "wss" for url in urls):
            self._warn("remote-clear-text", "TLS is off for this remote", "its traffic can be read", "tls.disable")
        elif not disabled and not tls.verify:
            problem = "the certificate of the other side is not verified"
            self._warn("remote-not-verified", problem, "anybody can pose as that broker", "tls.verify")
        return tls

    def _warn(self, code: str, problem: str, effect: str, name: str) -> None:
        at = self.context.values.subject(self.prefix + name)
        self.context.collector.warn(code, problem, effect, "remove the setting", at)

    def _usable(self, tls: RemoteTls) -> bool:
        facts, values = self.context.facts, self.context.values
        paths = {Part.CERTIFICATE: tls.certificate, Part.KEY: tls.key, Part.CA: tls.ca}
        keys = {Part.CERTIFICATE: "tls.cert", Part.KEY: "tls.key", Part.CA: "tls.ca"}
        if (tls.certificate is None) != (tls.key is None):
            have, lack = (Part.CERTIFICATE, Part.KEY) if tls.certificate else (Part.KEY, Part.CERTIFICATE)
            problem, remedy = f"{keys[lack]} is not set", "set tls.cert and tls.key, or neither"
            self.skip("remote-half-identity", problem, remedy, values.subject(self.prefix + keys[have]))
            return False
        content: dict[Part, bytes] = {}
        for part, path in paths.items():
            if path is None:
                continue
            fact = facts.file(path)
            if fact.problem:
                at = values.subject(self.prefix + keys[part])
                self.skip("remote-file-missing", f"{path}: {fact.problem}", "put the file there", at)
                return False
            content[part] = fact.content
        # Only the broker's own CA must have issued its certificate; the other side's CA is another matter.
        found = inspect(content.get(Part.CERTIFICATE), content.get(Part.KEY), None, facts.now)
        found += inspect(None, None, content.get(Part.CA), facts.now)
        for bad in found:
            at, problem = values.subject(self.prefix + keys[bad.part]), f"{paths[bad.part]}: {bad.problem}"
            if bad.fatal and not bad.overdue:
                self.skip(bad.code, problem, bad.remedy, at)
                return False
            effect = "the other side will refuse it" if bad.fatal else "the remote is used"
            self.context.collector.warn(bad.code, problem, effect, bad.remedy, at)
        return True


def report_dropped_parts(
    context: Context, key: str, text: str, parsed: ParsedEndpoint, *, login_kept: bool = False
) -> None:
    """Tell of what an address holds beyond host and port, which is left out."""
    at = context.values.subject(key, text)
    if parsed.extra:
        problem, remedy = "a path in an address", "write host and port only"
        context.collector.warn("address-path", problem, "the path is left out", remedy, at)
    if parsed.endpoint.user and not login_kept:
        problem, remedy = "a login in an address", "remove it from the address"
        context.collector.warn("address-login", problem, "the login is left out", remedy, at)
