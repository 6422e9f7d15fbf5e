"""What a start loads: it takes as long as this list is long, so that nothing comes to it unaware."""

from __future__ import annotations

import functools
import importlib
import subprocess
import sys

import pytest

from choria_broker.service import process

LIBRARIES = {"click", "cryptography", "msgspec", "uvloop"}
"""Of others; ``typing_extensions`` comes with msgspec on some versions of Python."""

LATER = {
    "aiohttp": "with the statistics port, once the broker is ready",
    "dns": "when the configuration needs DNS",
    "idna": "for names with letters beyond ASCII",
    "jinja2": "with the dashboard",
    "nacl": "with the first signature that the engine does not check, or once the broker is ready",
    "nats": "with the first connection of the broker's own",
    "psutil": "when a port cannot be had",
    "prometheus_client": "with the statistics port, or when somebody asks for metrics",
}

NOT_OURS = {
    "choria_broker.access.explain": "explain alone",
    "choria_broker.adapters": "in processes of their own",
    "choria_broker.capacity": "a command",
    "choria_broker.cli.check": "a command, and a start that fails",
    "choria_broker.cli.jwt": "a command",
    "choria_broker.companions.client": "in processes of their own",
    "choria_broker.companions.dialling": "in processes of their own",
    "choria_broker.companions.channel": "once the broker is ready",
    "choria_broker.companions.links": "in processes of their own",
    "choria_broker.companions.process": "once the broker is ready",
    "choria_broker.config.text.near_misses": "for keys that no setting has, or once the broker is ready",
    "choria_broker.demo": "a command",
    "choria_broker.engine.own_transport": "with the library of NATS",
    "choria_broker.federation": "in processes of their own",
    "choria_broker.security.issuing": "commands that make tokens",
    "choria_broker.service.stand_in": "an upgrade",
    "choria_broker.setup": "a command",
    "choria_broker.stats.collector": "with the library of metrics",
    "choria_broker.stats.exposition": "with the library of metrics",
    "choria_broker.stats.metrics": "once the broker is ready",
    "choria_broker.ui.page": "with the statistics port",
    "choria_broker.ui.pages": "with the dashboard",
    "choria_broker.ui.render": "with the dashboard",
    "choria_broker.ui.site": "with the dashboard",
    "choria_broker.upgrade.relief": "once the broker is ready",
    "choria_broker.upgrade.trial": "once the broker is ready",
    "choria_broker.web.app": "with the statistics port",
    "choria_broker.web.serving": "with the statistics port",
}
"""Modules and packages that a start does without, and when they are loaded."""

MOST = 325
"""Modules of our own that a start loads, a quarter of a millisecond each; whoever needs more raises it."""


@functools.cache
def loaded() -> frozenset[str]:
    code = "import sys; before = set(sys.modules); import choria_broker.cli, choria_broker.cli.run; "
    code += "print(*(name for name in set(sys.modules) - before if not name.startswith(('_', 'choria_broker.__'))))"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603 - ours
    return frozenset(found.stdout.split())


def test_a_start_loads_these_libraries() -> None:
    others = {name.partition(".")[0] for name in loaded()} - sys.stdlib_module_names - {"choria_broker"}
    others -= {"typing_extensions", "cython_runtime"}
    assert others == LIBRARIES


@pytest.mark.parametrize("name", sorted(LATER | NOT_OURS))
def test_what_is_needed_later_is_loaded_later(name: str) -> None:
    assert not [each for each in loaded() if each == name or each.startswith(f"{name}.")]


@pytest.mark.parametrize("name", process.LATER)
def test_what_is_loaded_once_the_broker_is_ready_is_there_and_was_not_loaded_before(name: str) -> None:
    assert importlib.import_module(name).__name__ == name
    assert name not in loaded()


def test_a_start_loads_no_more_modules_than_today() -> None:
    own = [name for name in loaded() if name.startswith("choria_broker.")]
    assert len(own) <= MOST, f"{len(own)} modules; is each of them needed before the broker is ready?"
