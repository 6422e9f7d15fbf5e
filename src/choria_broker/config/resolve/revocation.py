"""Who is revoked: lists of revoked certificates, the revocation file, and what stays when one of them turned bad."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from choria_broker.config.resolve.context import Context, network_key
from choria_broker.config.resolve.plain import plain
from choria_broker.config.resolve.providers import chosen_provider
from choria_broker.config.text.collector import SettingRef
from choria_broker.config.text.reading import Values
from choria_broker.config.text.shown_values import shown_file
from choria_broker.security.crls import CrlProblem, authorities_of, newest, read_crls, spread
from choria_broker.security.revocation_file import read_entries
from choria_broker.security.tls_files import load_authorities
from choria_broker.settings.finding_codes import Code
from choria_broker.settings.findings import Origin
from choria_broker.settings.revocation import NOTHING_REVOKED, Crl, CrlExpired, Entry, Revocation
from choria_broker.settings.security import Provider
from choria_broker.settings.tls import Tls
from choria_broker.values import replace

CRL, REVOCATIONS = network_key("crl"), network_key("revocations")
_NONE = "none"
_PUPPET = "crl.pem"
_KEPT = "the content that was read before stays in use"


def crl_files(values: Values, ssldir: Path | None) -> tuple[Path, ...]:
    """Return where lists of revoked certificates may be: what is set, else the place where Puppet keeps them.

    Args:
        values: of the configuration.
        ssldir: directory of Puppet's TLS files where none is configured.
    """
    named = values.items(CRL)
    if named:
        return () if named == (_NONE,) else tuple(dict.fromkeys(map(Path, named)))
    if values.is_bad("plugin.security.provider") or chosen_provider(values) is not Provider.PUPPET:
        return ()
    directory = values.path("plugin.choria.ssldir") or ssldir
    return (directory / _PUPPET,) if directory else ()


def revocation_file(values: Values) -> Path | None:
    """Return the revocation file, None where none is set."""
    return values.path(REVOCATIONS)


def resolve_revocation(context: Context, tls: Tls) -> Revocation:
    """Decide who is revoked.

    What turned bad while a broker runs stays as it is served: there are never fewer revocations because of a mistake.

    Args:
        context: inputs.
        tls: how TLS is used.
    """
    made = Revocation(**plain(context, Revocation))
    made = replace(made, entries=_entries(context, made.file))
    paths = crl_files(context.values, context.facts.ssldir) if tls.enabled else ()
    if tls.files is None or tls.files.ca is None:
        if paths and context.values.given(CRL):
            context.collector.warn(
                Code.NO_EFFECT,
                problem="there is no CA file, so no certificate is verified",
                effect="the lists are not read",
                remedy="set the CA of the security provider, or remove this setting",
                at=context.values.ref(CRL),
            )
        return made
    trusted = load_authorities(context.facts.file(tls.files.ca).content)
    made = replace(made, authorities=authorities_of(trusted))
    served = _served(context)
    lists: list[Crl] = []
    used: list[Path] = []
    for path in paths:
        before = [each for each in served.crls if each.file == path]
        fact = context.facts.file(path)
        if fact.missing and not context.values.given(CRL) and not before:
            continue  # Puppet has not fetched it.
        used.append(path)
        if fact.problem:
            _report(context, CRL, path, CrlProblem(Code.CRL_UNREADABLE, fact.problem), keeps=bool(before))
            lists += before
            continue
        read = read_crls(fact.content, path, trusted)
        for bad in read.problems:
            _report(context, CRL, path, bad, keeps=bool(before))
        if not read.problems:
            _report_strangers(context, path, read.strangers)
        lists += before if read.problems else read.lists
    for bad in spread(lists):
        _report(context, CRL, used[-1], bad, keeps=bool(served.crls))
        lists = list(served.crls)
    made = replace(made, crl_files=tuple(used), crls=_not_older(context, made, served, used, newest(lists)))
    if used:
        _report_lists(context, made)
    return made


def _served(context: Context) -> Revocation:
    return (context.served and context.served.revocation) or NOTHING_REVOKED


def _not_older(
    context: Context, made: Revocation, served: Revocation, used: Iterable[Path], lists: tuple[Crl, ...]
) -> tuple[Crl, ...]:
    """Keep lists in use in place of older ones, and of those that are in their file no more.

    A list goes with its CA, and with its file where the setting does not name that any more.
    """
    found = {each.key: each for each in lists}
    known = {each.key for each in made.authorities}
    for before in served.crls:
        after = found.get(before.key)
        if before.key not in known or (after is None and before.file not in used):
            continue
        if after is None:
            problem = f"the list of {before.issuer} is no longer in the file"
        elif after.older_than(before):
            problem = f"the list of {before.issuer} is older than the one in use{_numbers(after, before)}"
        else:
            continue
        found[before.key] = before
        bad = CrlProblem(Code.CRL_OLDER, problem)
        _report(context, CRL, after.file if after else before.file, bad, keeps=True)
    return tuple(found.values())


def _numbers(after: Crl, before: Crl) -> str:
    return "" if None in (after.number, before.number) else f", number {after.number} and {before.number}"


def _report(context: Context, key: str, path: Path, bad: CrlProblem, *, keeps: bool, line: int = 0) -> None:
    """Refuse, or say that what a running broker has stays in use."""
    told, at = f"{shown_file(path)}: {bad.problem}", _at(context, key, path, line)
    if keeps:
        context.collector.skip(bad.code, problem=told, effect=_KEPT, remedy=bad.remedy, at=at)
    else:
        context.collector.refuse(bad.code, problem=told, remedy=bad.remedy, at=at)


def _at(context: Context, key: str, path: Path, line: int = 0) -> SettingRef:
    at = context.values.ref(key)
    if line:
        return SettingRef(at.key, at.shown, Origin(shown_file(path), line))
    return at if context.values.given(key) else context.values.absent(key, "plugin.choria.ssldir")


def _report_strangers(context: Context, path: Path, strangers: Iterable[str]) -> None:
    for issuer in strangers:
        context.collector.warn(
            Code.CRL_STRANGER,
            problem=f"{shown_file(path)}: a list of {issuer}, which is not in the CA file",
            effect="certificates that it revokes are not refused",
            remedy="put the certificate of that CA in the CA file, or remove its list",
            at=_at(context, CRL, path),
        )


def _report_lists(context: Context, made: Revocation) -> None:
    """Warn of lists that are out of date, and of CAs without one."""
    now = context.facts.now.timestamp()
    refuses = made.expired is CrlExpired.REFUSE
    effect = "certificates of that CA are refused" if refuses else "certificates revoked since then are not refused"
    for each in made.crls:
        if each.overdue(now):
            problem = f"{shown_file(each.file)}: the list of {each.issuer} is past its next update"
            context.collector.warn(Code.CRL_EXPIRED, problem=problem, effect=effect, at=_at(context, CRL, each.file))
    listed = {each.key for each in made.crls}
    for authority in made.authorities:
        if authority.key not in listed:
            context.collector.warn(
                Code.CRL_ABSENT,
                problem=f"no list of the CA {', '.join(authority.subject)}",
                effect="certificates that this CA has revoked are not refused",
                at=_at(context, CRL, Path()),
            )


def _entries(context: Context, path: Path | None) -> tuple[Entry, ...]:
    """Read the revocation file."""
    if path is None:
        return ()
    served = _served(context)
    keeps = served.file == path
    before = served.entries if keeps else ()
    fact = context.facts.file(path)
    if fact.missing:
        if before:
            context.collector.warn(
                Code.REVOCATIONS_GONE,
                problem=f"{shown_file(path)} is missing",
                effect=f"its entries ({len(before)} until now) no longer apply",
                at=context.values.ref(REVOCATIONS),
            )
        return ()
    if fact.problem:
        _report(context, REVOCATIONS, path, CrlProblem(Code.CRL_UNREADABLE, fact.problem), keeps=keeps)
        return before
    entries, unreadable = read_entries(fact.content, str(path))
    for bad in unreadable:
        problem = CrlProblem(Code.BAD_REVOCATION, bad.problem)
        _report(context, REVOCATIONS, path, problem, keeps=keeps, line=bad.line)
    if unreadable:
        return before
    _report_without_effect(context, entries)
    return entries


def _report_without_effect(context: Context, entries: tuple[Entry, ...]) -> None:
    """Say which entries nobody looks at in operator mode, where the broker is not asked."""
    idle = [each for each in entries if not each.subject.is_seen_by_engine]
    if idle and context.values.given(network_key("operator_account")):
        kinds = ", ".join(dict.fromkeys(each.subject.value for each in idle))
        context.collector.warn(
            Code.NO_EFFECT,
            problem="in operator mode only certificates, and identities by their certificate's common name, can be "
            "revoked",
            effect=f"entries of other kinds have no effect, here {len(idle)} ({kinds})",
            remedy="revoke users with nsc revocations add-user, which writes that into the account's token",
            at=SettingRef(REVOCATIONS, "", idle[0].origin),
        )
