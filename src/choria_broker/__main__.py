"""``python -m choria_broker``: the command line."""

from __future__ import annotations

from choria_broker.cli import program

program()
