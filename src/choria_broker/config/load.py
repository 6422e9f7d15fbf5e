"""Reads a configuration from disk and surroundings: the one entrance for everybody who needs settings.

Synchronous, with a bounded wait, and meant to run before the event loop starts or in a thread.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import ClassVar

import msgspec

from choria_broker.config.held import alone_or_not, hold, in_its_cluster
from choria_broker.config.needs import (
    PEERS_RECORD,
    known_domain,
    named_files,
    needs_domain,
    needs_peers,
    needs_ssldir,
    operator_store,
    own_gateway_hosts,
)
from choria_broker.config.resolve.context import NETWORK_ON, configured_identity
from choria_broker.config.resolve.listeners import listen_addresses
from choria_broker.config.resolve.peers import PEERS, peer_hosts
from choria_broker.config.resolve.providers import chosen_files
from choria_broker.config.resolve.whole import resolve
from choria_broker.config.surroundings.discovery import Discovery, Search
from choria_broker.config.surroundings.facts import Facts, Overrides
from choria_broker.config.table.schema import Apply
from choria_broker.config.text.collector import Collector, SettingRef
from choria_broker.config.text.reading import Values, read
from choria_broker.config.text.syntax import Document, parse
from choria_broker.host.facts import FileFact
from choria_broker.host.files import read_file, read_named, read_store, words
from choria_broker.settings.broker import Settings
from choria_broker.settings.finding_codes import Code
from choria_broker.settings.findings import Finding, Origin
from choria_broker.settings.served import Served
from choria_broker.values import Discreet, replace

__all__ = ["Discovery", "Loaded", "Overrides", "load"]

_TYPED_PLUGIN_FILE = "choria.cfg"


class Basis(Discreet, frozen=True):
    """What settings were made from, so that they can be made again from other contents of some files.

    Attributes:
        document: lines of the configuration, as far as they are in force.
        facts: what was found out; the content of every file that the configuration names is among it.
        environ: variables of the environment.
        overrides: choices of the command line.
    """

    document: Document
    facts: Facts
    environ: Mapping[str, str]
    overrides: Overrides


class Loaded(Discreet, frozen=True):
    """Result of loading a configuration.

    Attributes:
        settings: None when a finding keeps the broker from starting.
        findings: everything worth saying, in order.
        files: configuration files that were read, in order; the later ones win.
        srv_lookups: SRV records that were asked for.
        wanted: what the files say, also where a running broker keeps what it serves; None as for ``settings``.
        basis: what the settings were made from.
    """

    hidden: ClassVar[frozenset[str] | None] = frozenset({"wanted", "basis"})

    settings: Settings | None
    findings: tuple[Finding, ...]
    files: tuple[Path, ...]
    srv_lookups: int = 0
    wanted: Settings | None = None
    basis: Basis | None = None


def load(
    path: str | Path,
    overrides: Overrides | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    now: dt.datetime | None = None,
    discovery: Discovery | None = None,
    served: Served | None = None,
) -> Loaded:
    """Read a configuration. Mistakes of the operator become findings, never exceptions.

    Args:
        path: main configuration file.
        overrides: choices of the command line.
        environ: variables to use instead of those of the process.
        now: time to judge certificates by, with time zone; the present when left out.
        discovery: ways to ask machine and network.
        served: what a running broker serves. Settings that only a restart changes are then as served, and so is what
            turned bad.

    Returns:
        Settings and findings. It takes five seconds at most, whatever DNS, facter and puppet do.
    """
    overrides = overrides or Overrides()
    environ = os.environ if environ is None else environ
    collector = Collector(lenient=overrides.lenient)
    # A start waits for what a pipe brings; a broker that serves waits for nobody.
    document, files = _read_files(Path(path), environ, collector, read_named if served else read_file)
    if not files:
        return Loaded(None, collector.findings(), ())
    reading = _Reading(Path(path).absolute(), environ, overrides, now, Search(discovery or Discovery(), environ))
    basis, fresh = reading.resolved(document, collector, served)
    loaded = Loaded(fresh, collector.findings(), files, reading.srv_lookups, fresh, basis)
    if served is None or fresh is None:
        return loaded
    other_cluster = alone_or_not(fresh, served)
    held = hold(document, served, Apply.RESTART, *([PEERS] if other_cluster else []))
    if not other_cluster and _texts(held) == {"identity": fresh.identity} | _texts(document):
        return loaded
    collector = Collector(lenient=overrides.lenient)
    basis, settings = reading.resolved(held, collector, served)
    settings = in_its_cluster(settings, served) if settings else None
    return replace(
        loaded, settings=settings, findings=collector.findings(), srv_lookups=reading.srv_lookups, basis=basis
    )


def load_files(basis: Basis, paths: Iterable[Path], served: Served, *, now: dt.datetime | None = None) -> Loaded:
    """Read some of the files that a configuration names, and neither the configuration nor anything else.

    Args:
        basis: what the settings in force were made from.
        paths: the files.
        served: what the broker serves.
        now: time to judge certificates by, with time zone; when left out the one at which the others were judged.

    Returns:
        Settings and findings, as ``load`` does.
    """
    files = dict(basis.facts.files) | {path: read_named(path) for path in paths}
    facts = replace(basis.facts, files=files, now=now or basis.facts.now)
    collector = Collector(lenient=basis.overrides.lenient)
    values = read(basis.document, basis.environ, basis.environ.get("HOME", ""), collector)
    settings = resolve(values, facts, basis.overrides, collector, served)
    settings = in_its_cluster(settings, served) if settings else None
    fresh = replace(basis, facts=facts)
    return Loaded(settings, collector.findings(), (), wanted=settings, basis=fresh)


def _texts(document: Document) -> dict[str, str]:
    return {entry.key: entry.value for entry in document.entries}


class _Reading(msgspec.Struct):
    """One look at a configuration and at what it depends on."""

    source: Path
    environ: Mapping[str, str]
    overrides: Overrides
    now: dt.datetime | None
    search: Search
    srv_lookups: int = 0

    def resolved(
        self, document: Document, collector: Collector, served: Served | None
    ) -> tuple[Basis, Settings | None]:
        values = read(document, self.environ, self.environ.get("HOME", ""), collector)
        facts = _gather(self.source, values, self.environ, self.search)
        facts = replace(facts, now=self.now or facts.now)
        self.srv_lookups += int(facts.srv is not None)
        settings = resolve(values, facts, self.overrides, collector, served)
        return Basis(document, facts, self.environ, self.overrides), settings


def _read_files(
    path: Path, environ: Mapping[str, str], collector: Collector, read_fact: Callable[[Path], FileFact]
) -> tuple[Document, tuple[Path, ...]]:
    """Read the main file and ``plugin.d``; no files at all when the main file cannot be read."""
    main = read_fact(path)
    if main.problem:
        problem = f"could not parse configuration: open {path}: {main.problem}"
        collector.refuse(Code.CONFIG_UNREADABLE, problem=problem, at=SettingRef(origin=Origin(str(path))))
        return Document(), ()
    document, files = parse(main.content, str(path)), [path.absolute()]
    directory = path.parent / "plugin.d"
    for file in _plugin_files(directory, path, environ, collector):
        found = read_fact(file)
        if found.problem:
            _refuse_plugin(file, found.problem, collector)
            continue
        prefix = f"plugin.{file.name.removesuffix('.cfg')}."
        document += parse(found.content, str(file), prefix=prefix, typed=file.name == _TYPED_PLUGIN_FILE)
        files.append(file.absolute())
    if len(files) > 1:
        names = ", ".join(file.name for file in files[1:])
        problem, effect = f"read {names} after the main file", "their settings override those of the main file"
        at = SettingRef(origin=Origin(str(directory)))
        collector.info(Code.PLUGIN_FILES_READ, problem=problem, effect=effect, at=at)
    return document, tuple(files)


def _plugin_files(directory: Path, path: Path, environ: Mapping[str, str], collector: Collector) -> list[Path]:
    """List the files to read, in byte order of their names."""
    at = SettingRef(origin=Origin(str(directory)))
    try:
        names = sorted((entry.name for entry in directory.iterdir()), key=os.fsencode)
    except FileNotFoundError:
        return []
    except OSError as error:
        _refuse_plugin(directory, words(error), collector)
        return []
    if _inside_home(path, environ.get("HOME", "")):
        problem, effect = "plugin.d is not read", "plugin.d is not read"
        remedy = "move the settings to the main file, or move the configuration out of the home directory"
        collector.info(Code.PLUGIN_FILES_SKIPPED, problem=problem, effect=effect, remedy=remedy, at=at)
        return []
    for name in names:
        if name.endswith(".conf"):
            at = SettingRef(origin=Origin(str(directory / name)))
            problem, effect = "only files that end in .cfg are read here", "the file is ignored"
            remedy = f"rename it to {name.removesuffix('.conf')}.cfg, or remove it"
            collector.warn(Code.PLUGIN_CONF_FILE, problem=problem, effect=effect, remedy=remedy, at=at)
    return [directory / name for name in names if name.endswith(".cfg")]


def _inside_home(path: Path, home: str) -> bool:
    """Compare whole components; the root directory is nobody's home."""
    if not home.startswith("/") or os.path.normpath(home).strip("/") == "":
        return False
    return Path(os.path.normpath(path.absolute())).is_relative_to(os.path.normpath(home))


def _refuse_plugin(path: Path, problem: str, collector: Collector) -> None:
    text = f"could not parse configuration: open {path}: {problem}"
    collector.refuse(Code.PLUGIN_UNREADABLE, problem=text, at=SettingRef(origin=Origin(str(path))))


def _gather(source: Path, values: Values, environ: Mapping[str, str], search: Search) -> Facts:
    """Find out everything the settings depend on; slow answers are waited for at the same time."""
    ssldir_asked = search.ssldir_in_background() if needs_ssldir(values) else None
    bindable_asked = search.bindable_in_background(listen_addresses(values))
    identity = configured_identity(values) or search.identity()
    srv, no_domain = None, False
    domain = (known_domain(values, identity) or search.domain()) if needs_domain(values) else ""
    if needs_peers(values):
        no_domain = not domain
        srv = search.srv(f"{PEERS_RECORD}.{domain}") if domain else None
    network = values.flag(NETWORK_ON)
    addresses = search.addresses((*peer_hosts(values, srv), *own_gateway_hosts(values))) if network else {}
    ssldir = ssldir_asked() if ssldir_asked else None
    certname = environ.get("MCOLLECTIVE_CERTNAME", "")
    named = named_files(values, chosen_files(values, ssldir, identity, certname).files, ssldir)
    store = values.path("plugin.choria.network.stream.store") if network else None
    operator = operator_store(values, source) if network else None
    return Facts(
        source=source,
        now=dt.datetime.now(dt.UTC),
        identity=identity,
        certname=certname,
        ssldir=ssldir,
        srv=srv,
        domain=domain,
        no_domain=no_domain,
        addresses=addresses,
        local_addresses=search.local([address for found in addresses.values() for address in found]),
        bindable=bindable_asked(),
        files={path: read_named(path) for group in named for path in group.files},
        groups=named,
        store_problem=_store_problem(store) if store else "",
        operator_store=read_store(operator) if operator else None,
    )


def _store_problem(store: Path) -> str:
    """Say why a directory cannot be written, or made, there."""
    place = store.absolute()
    while not os.path.lexists(place):
        place = place.parent
    if not place.is_dir():
        return f"{place} is not a directory"
    if not os.access(place, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        return f"{place} cannot be written by user {os.geteuid()}"
    return ""
