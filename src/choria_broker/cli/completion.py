"""``choria-broker completion``: what a shell needs to complete commands and options."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

_PROGRAM = "choria-broker"
_VARIABLE = "_CHORIA_BROKER_COMPLETE"
"""The variable that click looks at for a program of this name."""

_SHELLS = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command()
@click.argument("shell", type=click.Choice(tuple(_SHELLS)))
@click.pass_context
def completion(context: click.Context, *, shell: str) -> None:
    """Print the script with which bash, zsh or fish completes commands and options.

    For bash: choria-broker completion bash > /etc/bash_completion.d/choria-broker
    """
    found = _SHELLS[shell](context.find_root().command, {}, _PROGRAM, _VARIABLE)
    # Bash's own class would start bash to ask for its version; the script may be for another machine.
    click.echo(ShellComplete.source(found))
