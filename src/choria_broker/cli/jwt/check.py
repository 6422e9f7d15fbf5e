"""``choria-broker jwt check``: check a token for a monitoring system."""

from __future__ import annotations

import time
from pathlib import Path

import click

from choria_broker.cli.jwt.assessment import PURPOSES, Assessment, Wanted, assess, render
from choria_broker.cli.jwt.options import PLAIN_FILE, seconds

_FORMS = ("nagios", "json", "prometheus", "text")


@click.command()
@click.argument("file", type=PLAIN_FILE)
@click.option("--purpose", type=click.Choice(list(PURPOSES)), help="Purpose the token should have.")
@click.option(
    "--validity-min", metavar="DURATION", callback=seconds, help="Shortest time for which it should still be valid."
)
@click.option(
    "--validity-max", metavar="DURATION", callback=seconds, help="Longest time for which it should still be valid."
)
@click.option("--chain-issuer/--no-chain-issuer", default=None, help="Whether it should be a chain issuer's token.")
@click.option(
    "--issuer",
    metavar="HEX",
    default="",
    help="Ed25519 public key of its issuer, or of the issuer at the head of its chain.",
)
@click.option("--client-opa", is_flag=True, help="Require an Open Policy Agent policy, in a client token.")
@click.option(
    "--sub",
    metavar="SUBJECT",
    multiple=True,
    help="Additional subject to which it should allow subscribing; repeatable.",
)
@click.option(
    "--pub",
    metavar="SUBJECT",
    multiple=True,
    help="Additional subject to which it should allow publishing; repeatable.",
)
@click.option("--identity", default="", help="Identity or caller id it should be for.")
@click.option(
    "--query", metavar="EXPRESSION", multiple=True, help="Expression that should be true of the claims; repeatable."
)
@click.option(
    "--format", "form", type=click.Choice(_FORMS), default=_FORMS[0], show_default=True, help="Output format."
)
@click.option("--json", "form", flag_value="json", help="The same as --format json.")
def check(  # noqa: PLR0913 - one parameter per option
    *,
    file: Path,
    purpose: str | None,
    validity_min: int,
    validity_max: int,
    chain_issuer: bool | None,
    issuer: str,
    client_opa: bool,
    sub: tuple[str, ...],
    pub: tuple[str, ...],
    identity: str,
    query: tuple[str, ...],
    form: str,
) -> None:
    """Check that the token in FILE meets the requirements.

    \b
    Queries use the names of claims, with a dot before a member:
      callerid == "up=bob" and "rpcutil" in agents
      not permissions.org_admin == true or exp > 1800000000
    They support == != < <= > >= in and or not ( ) [ ] true false nil.

    Exit status 0: it does. 2: it does not. Always 0 with --format prometheus, which says it in the metric.
    """  # noqa: D301 - click's mark for a paragraph that is not wrapped
    wanted = Wanted(
        purpose=PURPOSES[purpose] if purpose else None,
        shortest=validity_min,
        longest=validity_max,
        chain_issuer=chain_issuer,
        issuer=issuer,
        policy=client_opa,
        subscribe=sub,
        publish=pub,
        identity=identity,
        queries=query,
    )
    assessment = _assess(file, wanted)
    click.echo(render(assessment, str(file), form))
    raise SystemExit(0 if form == "prometheus" else assessment.code)


def _assess(file: Path, wanted: Wanted) -> Assessment:
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return Assessment(("token not found",))
    except OSError as error:
        return Assessment((f"token cannot be read: {error.strerror}",))
    return assess(text, wanted, time.time())
