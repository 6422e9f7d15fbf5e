"""``choria-broker context``: a context for the nats command line, with which it logs in to this broker."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from choria_broker.cli.answers import fail, show
from choria_broker.cli.options import as_json, configuration
from choria_broker.config.load import load
from choria_broker.config.surroundings.facts import Overrides
from choria_broker.control.client import ControlError, ask_status
from choria_broker.host.private_file import create_file, replace_file
from choria_broker.patterns import expression
from choria_broker.settings.broker import Settings
from choria_broker.settings.tls import TlsFiles

SYSTEM, CHORIA = "system", "choria"
_NAMES = {SYSTEM: "choria-system", CHORIA: "choria"}
_TRY = {SYSTEM: "server list", CHORIA: "stream report"}
_NAME = expression(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")


class _Wanted(msgspec.Struct, frozen=True):
    """What was asked for.

    Attributes:
        account: which account.
        servers: places to connect to, empty for this broker's own.
        files: of TLS, the broker's own unless others were given.
        credentials: NATS credentials file, None without one.
    """

    account: str
    servers: tuple[str, ...]
    files: TlsFiles | None
    credentials: Path | None


@click.command()
@click.argument("account", type=click.Choice([SYSTEM, CHORIA]))
@configuration
@click.option("--name", help="Name of the context; default choria-system or choria.")
@click.option("--server", "servers", multiple=True, metavar="HOST:PORT", help="Broker to connect to; can be repeated.")
@click.option("--certificate", type=click.Path(path_type=Path), help="Certificate to log in with, with --key.")
@click.option("--key", type=click.Path(path_type=Path), help="Private key of the certificate.")
@click.option(
    "--ca", type=click.Path(path_type=Path), help="CA file that verifies the broker; default: the broker's own."
)
@click.option("--credentials", type=click.Path(path_type=Path), help="NATS credentials file to log in with.")
@click.option(
    "--folder", type=click.Path(path_type=Path), help="Folder for contexts; default: that of the nats command."
)
@click.option("--force", is_flag=True, help="Overwrite a context of this name.")
@as_json
def context(
    *, account: str, config: Path | None, overrides: Overrides, name: str | None, as_json: bool, **given: Any
) -> None:
    """Write a context for the nats command line, with the login for an account of this broker.

    ACCOUNT is system, which sees servers, or choria, which has the fleet and its streams. Without options the context
    logs in with the broker's own certificate, so only users who may read the broker's key can use it. The file has mode
    0600, because it holds the system user's password.

    Exit status 0: written. 1: nothing was written.
    """
    if config is None:
        raise click.UsageError("--config is needed: the file that the broker is started with")
    if (given["certificate"] is None) != (given["key"] is None):
        raise click.UsageError("--certificate and --key belong together")
    name = name or _NAMES[account]
    if not _NAME.fullmatch(name):
        raise click.UsageError("the name of a context has letters, digits, dots, dashes and underscores")
    settings = load(config, overrides).settings
    if settings is None:
        fail(f"the configuration cannot be used; choria-broker check --config {config} says why")
    files = _files(settings, given["certificate"], given["key"], given["ca"])
    wanted = _Wanted(account, given["servers"], files, given["credentials"])
    document = _document(settings, wanted, config)
    file = _written(given["folder"] or _folder(os.environ), name, document, force=given["force"])
    told = {"context": name, "file": str(file), "account": account, "url": document["url"]}
    lines = [
        f"Written to {file}, which only its owner can read. Try it:",
        "",
        f"  nats --context {name} {_TRY[account]}",
    ]
    show(told, lines, as_json=as_json)


def _files(settings: Settings, certificate: Path | None, key: Path | None, ca: Path | None) -> TlsFiles | None:
    own = settings.tls.files if settings.tls.enabled else None
    if own is None:
        return None
    return TlsFiles(certificate=certificate or own.certificate, key=key or own.key, ca=ca or own.ca)


def _document(settings: Settings, wanted: _Wanted, config: Path) -> Mapping[str, str]:
    document = {
        "description": f"Choria broker {settings.identity}, account {wanted.account}",
        "url": ",".join(_url(settings, each) for each in wanted.servers or (_place(settings, config),)),
    }
    document |= _login(settings, wanted)
    if wanted.files:
        files = wanted.files
        document |= {"ca": str(files.ca.absolute())} if files.ca else {}
        if "creds" not in document:
            document |= {"cert": str(files.certificate.absolute()), "key": str(files.key.absolute())}
    return document


def _login(settings: Settings, wanted: _Wanted) -> Mapping[str, str]:
    """Tell what is sent beside a certificate."""
    network, account = settings.network, wanted.account
    if network.operator:
        found = network.operator.system if account == SYSTEM else network.operator.choria
        file = wanted.credentials or (found.credentials if found else None)
        if file is None:
            fail(f"the operator's store has no credentials file for account {account}; give one with --credentials")
        return {"creds": str(file.absolute())}
    if account == SYSTEM:
        login = network.system_user
        if login is None:
            fail(
                "there is no login for account system; set plugin.choria.network.system.user and "
                "plugin.choria.network.system.password, and reload the broker"
            )
        if wanted.files and not settings.tls.verify_clients:
            fail(
                "the system user needs a token on this network, which requests no certificates; the nats command "
                "cannot send a token together with a password"
            )
        return {"user": login.user, "password": login.password.reveal()}
    if wanted.credentials:
        return {"creds": str(wanted.credentials.absolute())}
    if settings.security.issuers or (wanted.files and not settings.tls.verify_clients):
        fail("clients need a token on this network; give a credentials file that has one with --credentials")
    return {}


def _place(settings: Settings, config: Path) -> str:
    network = settings.network
    if network.public_url:
        return network.public_url
    port = network.client_port
    if not port:
        try:
            port = ask_status(config).ports["client"]
        except (ControlError, KeyError):
            fail("the broker's port is any that is free, and no broker runs that has one; give --server")
    return f"{settings.identity}:{port}"


def _url(settings: Settings, server: str) -> str:
    if "@" in server or "," in server:
        raise click.UsageError("--server is a host, with or without a port; logins have options of their own")
    if "://" in server:
        return server
    return f"{'tls' if settings.tls.enabled else 'nats'}://{server}"


def _folder(environ: Mapping[str, str]) -> Path:
    """Tell where the nats command line has its contexts."""
    base = environ.get("XDG_CONFIG_HOME") or ""
    return (Path(base) if base else Path.home() / ".config") / "nats" / "context"


def _written(folder: Path, name: str, document: Mapping[str, str], *, force: bool) -> Path:
    file, text = folder / f"{name}.json", json.dumps(document, indent=2) + "\n"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if force:
            replace_file(file, text)
        else:
            create_file(file, text)
    except FileExistsError:
        fail(f"{file} exists already; --force overwrites it, --name gives the context another name")
    except OSError as error:
        fail(f"{file} cannot be written: {error.strerror}")
    return file
