"""Reads a configuration from disk and surroundings: the one entrance for everybody who needs settings.

Synchronous, with a bounded wait, and meant to run before the event loop starts or in a thread.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
from collections.abc import Mapping
from pathlib import Path

from choria_broker.config.collector import Collector, Subject
from choria_broker.config.discovery import Discovery, Search
from choria_broker.config.facts import Facts, Overrides
from choria_broker.config.files import read_file, read_store, words
from choria_broker.config.findings import Finding, Origin
from choria_broker.config.questions import (
    NETWORK_ON,
    PEERS_RECORD,
    known_domain,
    named_files,
    needs_peers,
    needs_ssldir,
    operator_store,
    peer_hosts,
)
from choria_broker.config.reading import Values, read
from choria_broker.config.resolve import resolve
from choria_broker.config.resolve_operator import reloaded_settings
from choria_broker.config.resolve_security import chosen_files
from choria_broker.config.settings import Settings
from choria_broker.config.syntax import Document, parse

__all__ = ["Discovery", "Loaded", "Overrides", "load"]

_TYPED_PLUGIN_FILE = "choria.cfg"


@dataclasses.dataclass(frozen=True, slots=True)
class Loaded:
    """Result of loading a configuration.

    Attributes:
        settings: None when a finding keeps the broker from starting.
        findings: everything worth saying, in order.
        files: configuration files that were read, in order; the later ones win.
        srv_lookups: SRV records that were asked for.
    """

    settings: Settings | None
    findings: tuple[Finding, ...]
    files: tuple[Path, ...]
    srv_lookups: int = 0


def load(
    path: str | Path,
    overrides: Overrides | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    now: dt.datetime | None = None,
    discovery: Discovery | None = None,
) -> Loaded:
    """Read a configuration. Mistakes of the operator become findings, never exceptions.

    Args:
        path: main configuration file.
        overrides: choices of the command line.
        environ: variables to use instead of those of the process.
        now: time to judge certificates by, with time zone; the present when left out.
        discovery: ways to ask machine and network.

    Returns:
        Settings and findings. It takes five seconds at most, whatever DNS, facter and puppet do.
    """
    overrides = overrides or Overrides()
    environ = os.environ if environ is None else environ
    collector = Collector(lenient=overrides.lenient)
    document, files = _read_files(Path(path), environ, collector)
    if not files:
        return Loaded(None, collector.findings(), ())
    values = read(document, environ, environ.get("HOME", ""), collector)
    facts = _gather(Path(path).absolute(), values, environ, Search(discovery or Discovery(), environ))
    facts = dataclasses.replace(facts, now=now or facts.now)
    settings = resolve(values, facts, overrides, collector)
    return Loaded(settings, collector.findings(), files, srv_lookups=int(facts.srv is not None))


def reload_operator(settings: Settings, *, now: dt.datetime | None = None) -> Loaded:
    """Read the store of the operator again for a broker that runs; the configuration file stays as it was read.

    Args:
        settings: of the broker, which has an operator.
        now: time to judge tokens by, with time zone; the present when left out.

    Returns:
        The settings with what the store holds by now, None when nothing of it can be used; and the findings.
    """
    operator = settings.network.operator
    if operator is None:
        raise ValueError("there is no operator")
    collector = Collector()
    renewed = reloaded_settings(settings, read_store(operator.directory), now or dt.datetime.now(dt.UTC), collector)
    return Loaded(renewed, collector.findings(), ())


def _read_files(path: Path, environ: Mapping[str, str], collector: Collector) -> tuple[Document, tuple[Path, ...]]:
    """Read the main file and ``plugin.d``; no files at all when the main file cannot be read."""
    main = read_file(path)
    if main.problem:
        problem = f"could not parse configuration: open {path}: {main.problem}"
        remedy = "give the path of a configuration file that the broker can read with --config"
        collector.refuse("config-unreadable", problem, remedy, Subject(origin=Origin(str(path))))
        return Document(), ()
    document, files = parse(main.content, str(path)), [path.absolute()]
    directory = path.parent / "plugin.d"
    for file in _plugin_files(directory, path, environ, collector):
        found = read_file(file)
        if found.problem:
            _refuse_plugin(file, found.problem, collector)
            continue
        prefix = f"plugin.{file.name.removesuffix('.cfg')}."
        document += parse(found.content, str(file), prefix=prefix, typed=file.name == _TYPED_PLUGIN_FILE)
        files.append(file.absolute())
    if len(files) > 1:
        names = ", ".join(file.name for file in files[1:])
        problem, effect = f"read {names} after the main file", "their settings win over those of the main file"
        at = Subject(origin=Origin(str(directory)))
        collector.info("plugin-files-read", problem, effect, "nothing to do", at)
    return document, tuple(files)


def _plugin_files(directory: Path, path: Path, environ: Mapping[str, str], collector: Collector) -> list[Path]:
    """List the files to read, in byte order of their names."""
    at = Subject(origin=Origin(str(directory)))
    try:
        names = sorted((entry.name for entry in directory.iterdir()), key=os.fsencode)
    except FileNotFoundError:
        return []
    except OSError as error:
        _refuse_plugin(directory, words(error), collector)
        return []
    if _inside_home(path, environ.get("HOME", "")):
        problem, effect = "the configuration is in the home directory", "plugin.d is not read"
        remedy = "move the settings to the main file, or the configuration out of the home directory"
        collector.info("plugin-files-skipped", problem, effect, remedy, at)
        return []
    for name in names:
        if name.endswith(".conf"):
            at = Subject(origin=Origin(str(directory / name)))
            problem, effect = "only files that end in .cfg are read here", "the file is ignored"
            remedy = f"rename it to {name.removesuffix('.conf')}.cfg, or remove it"
            collector.warn("plugin-conf-file", problem, effect, remedy, at)
    return [directory / name for name in names if name.endswith(".cfg")]


def _inside_home(path: Path, home: str) -> bool:
    """Compare whole components; the root directory is nobody's home."""
    if not home.startswith("/") or os.path.normpath(home).strip("/") == "":
        return False
    return Path(os.path.normpath(path.absolute())).is_relative_to(os.path.normpath(home))


def _refuse_plugin(path: Path, problem: str, collector: Collector) -> None:
    remedy = "let the broker's user read it, or remove it"
    text = f"could not parse configuration: open {path}: {problem}"
    collector.refuse("plugin-unreadable", text, remedy, Subject(origin=Origin(str(path))))


def _gather(source: Path, values: Values, environ: Mapping[str, str], search: Search) -> Facts:
    """Find out everything the settings depend on; slow answers are waited for at the same time."""
    ssldir_asked = search.ssldir_in_background() if needs_ssldir(values) else None
    identity = values.text("identity") or search.identity()
    srv, no_domain = None, False
    if needs_peers(values):
        domain = known_domain(values, identity) or search.domain()
        no_domain = not domain
        srv = search.srv(f"{PEERS_RECORD}.{domain}") if domain else None
    network = values.flag(NETWORK_ON)
    addresses = search.addresses(peer_hosts(values, srv)) if network else {}
    ssldir = ssldir_asked() if ssldir_asked else None
    certname = environ.get("MCOLLECTIVE_CERTNAME", "")
    named = named_files(values, chosen_files(values, ssldir, identity, certname).files)
    store = values.path("plugin.choria.network.stream.store") if network else None
    operator = operator_store(values, source) if network else None
    return Facts(
        source=source,
        now=dt.datetime.now(dt.UTC),
        identity=identity,
        certname=certname,
        ssldir=ssldir,
        srv=srv,
        no_domain=no_domain,
        addresses=addresses,
        local_addresses=search.local([address for found in addresses.values() for address in found]),
        files={path: read_file(path) for path in named},
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
