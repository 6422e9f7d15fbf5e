"""``choria-broker bundle``: one file for a ticket, with all that helps and nothing secret."""

from __future__ import annotations

import contextlib
import http.client
import io
import ipaddress
import json
import os
import stat
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import click
import msgspec

from choria_broker import __version__
from choria_broker.access.selection import Selection
from choria_broker.cli.answers import fail, show
from choria_broker.cli.bundle_masks import Masks, masked_lines, masks_of
from choria_broker.cli.check import examine_as_document
from choria_broker.cli.options import as_json, configuration
from choria_broker.cli.progress import Line, progress
from choria_broker.config.load import load
from choria_broker.config.surroundings.facts import Overrides
from choria_broker.control.client import ControlError, ask_connections, ask_decision, ask_status
from choria_broker.host.private_file import open_new
from choria_broker.settings.broker import Settings
from choria_broker.status.words import bundle_name

_TAIL = 1 << 20
_PAGE_BYTES = 8 << 20
_PATIENCE = 10.0
_PAGES = ("varz", "connz", "routez", "gatewayz", "leafz", "subsz", "accountz", "jsz", "healthz", "choria/prometheus")
_INCOMPLETE = 3
_STANDARD_OUTPUT = "-"


class _Bundle:
    """The file while it is written; what is put into it is masked."""

    def __init__(self, archive: tarfile.TarFile, folder: str, masks: Masks, now: float, line: Line) -> None:
        self._archive, self._folder, self._masks, self._now = archive, folder, masks, now
        self._line = line
        self.parts: list[str] = []
        self.missing: list[str] = []

    def text(self, name: str, content: str) -> None:
        """Put a text in."""
        found = self._masks.text(content).encode(errors="replace")
        info = tarfile.TarInfo(f"{self._folder}/{name}")
        info.size, info.mode, info.mtime = len(found), 0o600, int(self._now)
        self._archive.addfile(info, io.BytesIO(found))
        self.parts.append(name)

    def document(self, name: str, document: object) -> None:
        """Put a document in, as JSON."""
        self.text(name, json.dumps(self._masks.document(msgspec.to_builtins(document)), indent=2) + "\n")

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Go on without a part that cannot be had, and keep why."""
        self._line.say(f"Collecting {name}")
        try:
            yield
        except (ControlError, OSError, http.client.HTTPException) as error:
            self.missing.append(self._masks.text(f"{name}: {error}"))


@click.command()
@configuration
@click.option(
    "--output",
    type=click.Path(path_type=Path, allow_dash=True),
    help="File to write, - for standard output; default: a new file in this folder.",
)
@as_json
def bundle(*, config: Path | None, overrides: Overrides, output: Path | None, as_json: bool) -> None:
    """Collect what helps to solve a problem in one file: status, findings, configuration, decisions, pages, log.

    Passwords, tokens and private keys are left out or masked. Names, addresses and subjects are in the file. It is a
    compressed tar archive of mode 0600. Without a running broker it has everything that does not need one.

    Exit status 0: written. 3: written, but some parts are missing. 1: nothing was written.
    """
    if config is None:
        raise click.UsageError("--config is needed: the file that the broker is started with")
    now = time.time()
    settings = load(config, overrides).settings
    folder = bundle_name(settings.identity if settings else "", now)
    file = output or Path(f"{folder}.tar.gz")
    if str(file) == _STANDARD_OUTPUT:
        if as_json:
            raise click.UsageError("--json and --output - both write to standard output; leave one out")
        made = _written(sys.stdout.buffer, folder, now, config, overrides, settings)
        click.echo("".join(f"Missing: {each}\n" for each in made.missing), err=True, nl=False)
        raise SystemExit(_INCOMPLETE if made.missing else 0)
    try:
        with open_new(file) as opened:
            try:
                made = _written(opened, folder, now, config, overrides, settings)
            except BaseException:
                file.unlink()
                raise
    except FileExistsError:
        fail(f"{file} exists already; give another name with --output")
    except OSError as error:
        fail(f"{file} cannot be written: {error.strerror}")
    told = {"file": str(file), "parts": made.parts, "missing": made.missing}
    lines = [f"Written to {file}, which only its owner can read: {', '.join(made.parts)}."]
    lines += [f"Missing: {each}" for each in made.missing]
    lines.append(
        "Secrets are masked; names, addresses and subjects are not: look at it before you give it to somebody."
    )
    show(told, lines, as_json=as_json)
    raise SystemExit(_INCOMPLETE if made.missing else 0)


def _written(
    opened: BinaryIO, folder: str, now: float, config: Path, overrides: Overrides, settings: Settings | None
) -> _Bundle:
    """Write everything, piece by piece: what is written into need not be a file."""
    with tarfile.open(fileobj=opened, mode="w|gz") as archive, progress("Collecting") as line:
        made = _Bundle(archive, folder, masks_of(settings), now, line)
        _fill(made, config, overrides, settings)
        made.document("contents.json", {"parts": tuple(made.parts), "missing": tuple(made.missing)})
    return made


def _fill(made: _Bundle, config: Path, overrides: Overrides, settings: Settings | None) -> None:
    made.document("versions.json", {"command": __version__, "system": " ".join(os.uname()[:1] + os.uname()[2:])})
    made.document("check.json", examine_as_document(config, overrides))
    if settings:
        made.text("configuration.txt", "\n".join(masked_lines(settings)) + "\n")
    with made.part("status.json, decisions.json, connections.json"):
        status = ask_status(config)
        made.document("status.json", status)
        made.document("decisions.json", [_decision(config, each.connection) for each in status.recent])
        made.document("connections.json", ask_connections(config, Selection()))
    if settings:
        _pages(made, settings)
        _log(made, settings)


def _decision(config: Path, connection: int) -> object:
    try:
        return ask_decision(config, connection)
    except ControlError as error:  # Later ones may have taken its place meanwhile.
        return {"connection": connection, "error": str(error)}


def _pages(made: _Bundle, settings: Settings) -> None:
    statistics = settings.statistics
    if not statistics.port:
        made.missing.append("pages: the broker has no statistics port, plugin.choria.stats_port")
        return
    address = statistics.places[0]
    with contextlib.suppress(ValueError):
        if (found := ipaddress.ip_address(address)).is_unspecified:
            address = "127.0.0.1" if found.version == 4 else "::1"  # noqa: PLR2004 - IPv4
    for page in _PAGES:
        name = f"pages/{page.replace('/', '-')}.txt"
        with made.part(name):
            made.text(name, _page(address, statistics.port, page))


def _page(address: str, port: int, page: str) -> str:
    connection = http.client.HTTPConnection(address, port, timeout=_PATIENCE)
    try:
        connection.request("GET", f"/{page}")
        answer = connection.getresponse()
        return answer.read(_PAGE_BYTES).decode(errors="replace")
    finally:
        connection.close()


def _log(made: _Bundle, settings: Settings) -> None:
    if settings.log_file is None:
        made.missing.append(
            "log.txt: the broker logs to no file; with systemd, journalctl -u choria-broker has its log"
        )
        return
    with made.part("log.txt"):
        made.text("log.txt", _tail(settings.log_file))


def _tail(file: Path) -> str:
    """Read the last lines of a regular file."""
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as opened:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(0, "not a regular file", str(file))
        start = max(found.st_size - _TAIL, 0)
        opened.seek(start)
        text = opened.read(_TAIL).decode(errors="replace")
    return text.partition("\n")[2] if start else text
