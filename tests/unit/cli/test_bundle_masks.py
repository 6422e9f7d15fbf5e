"""What of a bundle is masked."""

from __future__ import annotations

from pathlib import Path

from choria_broker.cli.bundle_masks import Masks, masked_lines, masks_of
from choria_broker.config.load import load
from choria_broker.settings.broker import Settings
from support.leaks import leaks
from support.minting import client, mint
from support.testbed import Authority, configuration

TOKEN = mint(client())


def settings(tmp_path: Path, authority: Authority) -> Settings:
    found = load(
        configuration(
            tmp_path,
            authority,
            network__system__user="admin",
            network__system__password="syspass",
            network__provisioning__client_password="provpass",
            network__leafnode_remotes="hub",
            network__leafnode_remote__hub__url="leafnode://bob:hunter2@hub.example.net:7422",
            network__leafnode_remote__hub__account="choria",
        )
    ).settings
    assert found
    return found


def test_secrets_of_the_configuration_are_known_by_their_text(tmp_path: Path, authority: Authority) -> None:
    masks = masks_of(settings(tmp_path, authority))
    assert set(masks.secrets) == {"syspass", "provpass", "hunter2"}
    assert masks.text("a syspass\nb xprovpassx hunter2") == "a *****\nb x*****x *****"
    assert "syspass" not in repr(masks)
    assert masks_of(None).secrets == ()


def test_others_are_known_by_their_form() -> None:
    text = f"line {TOKEN}\nnats://bob:pw@host:4222 fine\n-----BEGIN PRIVATE KEY-----\nlast"
    shown = Masks().text(text)
    assert not leaks(shown)
    assert "pw@" not in shown
    assert shown.splitlines()[-1] == "last"


def test_documents_are_masked_at_every_depth() -> None:
    document = {"a": [{"b": f"x {TOKEN}"}, ("hunter2", 1, None, True)], "hunter2": 2}
    assert Masks(("hunter2",)).document(document) == {"a": [{"b": "x *****"}, ["*****", 1, None, True]], "*****": 2}


def test_settings_are_shown_with_their_places(tmp_path: Path, authority: Authority) -> None:
    lines = list(masked_lines(settings(tmp_path, authority)))
    shown = "\n".join(lines)
    assert not leaks(shown)
    assert f"identity = broker.example.net  # {tmp_path}/broker.conf:1" in lines
    assert any(line.startswith("plugin.choria.network.system.password = *****  # ") for line in lines)
