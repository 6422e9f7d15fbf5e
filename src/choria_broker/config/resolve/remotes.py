"""What gateway and leafnode remotes have in common: addresses and TLS."""

from __future__ import annotations

import msgspec

from choria_broker.config.resolve.context import Context, network_key
from choria_broker.config.text.addresses import ParsedEndpoint, parse_endpoint
from choria_broker.config.text.collector import SettingRef
from choria_broker.config.text.shown_values import shown_file
from choria_broker.config.text.values import BadValueError
from choria_broker.security.tls_files import inspect
from choria_broker.security.tls_problems import Part
from choria_broker.security.verifier import Use
from choria_broker.settings.endpoint import Endpoint
from choria_broker.settings.finding_codes import Code
from choria_broker.settings.tls import RemoteTls, Tls
from choria_broker.values import replace

CHORIA_CA = "plugin.security.choria.ca"
"""Key of the CA of the one provider that may have none."""


def without_ca(tls: Tls) -> bool:
    """Tell whether the broker uses TLS between brokers and has no CA to verify others with."""
    return tls.everywhere and tls.files is not None and tls.files.ca is None


class Remote(msgspec.Struct, frozen=True):
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

    def skip(self, code: Code, *, problem: str, remedy: str = "", at: SettingRef) -> None:
        """Leave this remote out."""
        self.context.collector.skip(code, problem=problem, effect=f"{self.title} is not used", remedy=remedy, at=at)

    def urls(self, name: str, scheme: str) -> tuple[Endpoint, ...]:
        """Return the addresses, empty when the remote cannot be used."""
        key, values = self.prefix + name, self.context.values
        texts = values.items(key)
        if not texts:
            at = values.absent(key, network_key(self.listed))
            self.skip(Code.REMOTE_WITHOUT_URL, problem="not set", remedy=f"set {key} to host:port", at=at)
        found: list[Endpoint] = []
        bad: list[tuple[str, BadValueError]] = []
        for text in texts:
            try:
                parsed = parse_endpoint(text, scheme)
            except BadValueError as error:
                bad.append((text, error))
                continue
            report_dropped_parts(self.context, key, text, parsed)
            found.append(replace(parsed.endpoint, user="", password=None))
        effect = "this address is ignored, the others are used" if found else f"{self.title} is not used"
        for text, wrong in bad:
            self.context.collector.skip(
                Code.BAD_URL, problem=wrong.problem, effect=effect, remedy=wrong.remedy, at=values.ref(key, text)
            )
        return tuple(dict.fromkeys(found))

    def tls(self, urls: tuple[Endpoint, ...]) -> RemoteTls | None:
        """Return how TLS is used with addresses, None when own files cannot be used."""
        values = self.context.values
        disabled = values.flag(self.prefix + "tls.disable")
        tls = RemoteTls(
            certificate=values.path(self.prefix + "tls.cert"),
            key=values.path(self.prefix + "tls.key"),
            ca=values.path(self.prefix + "tls.ca"),
            verify=values.flag(self.prefix + "tls.verify"),
            disabled=disabled,
        )
        if not self._usable(tls):
            return None
        if disabled and any(url.scheme != "wss" for url in urls):
            self._warn(
                Code.REMOTE_CLEAR_TEXT,
                problem="TLS is off for this remote",
                effect="its traffic can be read",
                name="tls.disable",
            )
        elif not disabled and not tls.verify:
            problem = "the other side's certificate is not verified"
            self._warn(
                Code.REMOTE_NOT_VERIFIED,
                problem=problem,
                effect="anybody can pretend to be that broker",
                name="tls.verify",
            )
        return tls

    def _warn(self, code: Code, problem: str, effect: str, name: str) -> None:
        at = self.context.values.ref(self.prefix + name)
        self.context.collector.warn(code, problem=problem, effect=effect, remedy="remove the setting", at=at)

    def _usable(self, tls: RemoteTls) -> bool:
        facts, values = self.context.facts, self.context.values
        paths = {Part.CERTIFICATE: tls.certificate, Part.KEY: tls.key, Part.CA: tls.ca}
        keys = {Part.CERTIFICATE: "tls.cert", Part.KEY: "tls.key", Part.CA: "tls.ca"}
        if (tls.certificate is None) != (tls.key is None):
            have, lack = (Part.CERTIFICATE, Part.KEY) if tls.certificate else (Part.KEY, Part.CERTIFICATE)
            problem = f"{keys[lack]} is not set"
            self.skip(Code.REMOTE_HALF_IDENTITY, problem=problem, at=values.ref(self.prefix + keys[have]))
            return False
        content: dict[Part, bytes] = {}
        for part, path in paths.items():
            if path is None:
                continue
            fact = facts.file(path)
            if fact.problem:
                at = values.ref(self.prefix + keys[part])
                self.skip(
                    Code.REMOTE_FILE_MISSING,
                    problem=f"{shown_file(path)}: {fact.problem}",
                    at=at,
                )
                return False
            content[part] = fact.content
        # Only the broker's own CA must have issued its certificate; the other side's CA is another matter.
        own = inspect(content.get(Part.CERTIFICATE), content.get(Part.KEY), None, facts.now, use=Use.CLIENT)
        found = own + inspect(None, None, content.get(Part.CA), facts.now, use=Use.CLIENT)
        for bad in found:
            at, problem = values.ref(self.prefix + keys[bad.part]), f"{shown_file(paths[bad.part])}: {bad.problem}"
            if bad.fatal and not bad.overdue:
                self.skip(bad.code, problem=problem, remedy=bad.remedy, at=at)
                return False
            effect = "the other side will refuse it" if bad.fatal else bad.effect
            tell = self.context.collector.info if bad.idle else self.context.collector.warn
            tell(bad.code, problem=problem, effect=effect, remedy=bad.remedy, at=at)
        return True


def report_dropped_parts(
    context: Context, key: str, text: str, parsed: ParsedEndpoint, *, login_kept: bool = False
) -> None:
    """Tell of what an address holds beyond host and port, which is left out."""
    at = context.values.ref(key, text)
    if parsed.extra:
        problem, remedy = "a path in an address", "write host and port only"
        context.collector.warn(Code.ADDRESS_PATH, problem=problem, effect="the path is ignored", remedy=remedy, at=at)
    if parsed.endpoint.user and not login_kept:
        problem, remedy = "a login in an address", "remove it from the address"
        context.collector.warn(Code.ADDRESS_LOGIN, problem=problem, effect="the login is ignored", remedy=remedy, at=at)
