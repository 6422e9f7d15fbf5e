"""Loading from disk: which files are read, and that no mistake raises."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import pytest

from choria_broker.config.load import Loaded, Overrides, load
from choria_broker.config.surroundings.discovery import Discovery
from choria_broker.config.surroundings.facts import SrvAnswer
from choria_broker.settings.broker import Settings
from choria_broker.settings.finding_codes import Severity
from choria_broker.settings.findings import Finding
from choria_broker.values import replace
from support.quiet_machine import QUIET
from support.scenario import IDENTITY, NET, pems

ENVIRON: dict[str, str] = {}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A directory with TLS files and a configuration that needs nothing else."""
    made = pems()
    for name, content in (("cert.pem", made.certificate), ("key.pem", made.key), ("ca.pem", made.ca)):
        (tmp_path / name).write_bytes(content)
    (tmp_path / "broker.conf").write_text(
        f"identity = {IDENTITY}\nplugin.choria.broker_network = true\nplugin.choria.use_srv = false\n"
        f"plugin.security.provider = file\nplugin.security.file.certificate = {tmp_path}/cert.pem\n"
        f"plugin.security.file.key = {tmp_path}/key.pem\nplugin.security.file.ca = {tmp_path}/ca.pem\n"
    )
    return tmp_path


def add(home: Path, *lines: str) -> None:
    with (home / "broker.conf").open("a") as file:
        file.write("\n".join(lines) + "\n")


def plugin(home: Path, name: str, text: str) -> Path:
    (home / "plugin.d").mkdir(exist_ok=True)
    file = home / "plugin.d" / name
    file.write_text(text)
    return file


def loaded(home: Path, environ: Mapping[str, str] = ENVIRON, discovery: Discovery = QUIET) -> Loaded:
    return load(home / "broker.conf", environ=environ, discovery=discovery)


def good(result: Loaded) -> Settings:
    assert result.settings is not None, [str(finding) for finding in result.findings]
    return result.settings


def one(result: Loaded, code: str) -> Finding:
    (found,) = [finding for finding in result.findings if finding.code == code]
    return found


def test_a_file_with_the_feature_and_tls_files(home: Path) -> None:
    result = loaded(home)
    assert result.findings == ()
    settings = good(result)
    assert settings.source == home / "broker.conf"
    assert settings.network_enabled
    assert result.files == (home / "broker.conf",)


def test_real_surroundings_do_not_matter(home: Path) -> None:
    begin = time.monotonic()
    assert load(str(home / "broker.conf"), Overrides(debug=True)).settings is not None
    assert time.monotonic() - begin < 5


def test_relative_paths_become_absolute(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    plugin(home, "choria.cfg", "network.client_port = x")
    result = load("broker.conf", environ={}, discovery=QUIET)
    assert result.files == (home / "broker.conf", home / "plugin.d" / "choria.cfg")
    assert one(result, "bad-value").origin.file == "plugin.d/choria.cfg"


@pytest.mark.parametrize(("name", "words"), [("missing.conf", "no such file or directory"), ("", "is a directory")])
def test_a_configuration_that_cannot_be_read(tmp_path: Path, name: str, words: str) -> None:
    path = tmp_path / name
    result = load(path, environ={}, discovery=QUIET)
    (finding,) = result.findings
    assert finding.severity is Severity.REFUSE
    assert finding.problem == f"could not parse configuration: open {path}: {words}"
    assert (result.settings, result.files) == (None, ())


def test_a_path_that_is_no_path() -> None:
    assert load("x" * 5000, environ={}, discovery=QUIET).settings is None


def test_plugin_files_win_over_the_main_file(home: Path) -> None:
    add(home, NET + "client_port = 4222")
    file = plugin(home, "choria.cfg", "network.client_port = 4333\n")
    result = loaded(home)
    assert good(result).network.client_port == 4333
    assert result.files == (home / "broker.conf", file)
    assert "choria.cfg" in one(result, "plugin-files-read").problem


def test_the_environment_wins_over_plugin_files(home: Path) -> None:
    plugin(home, "choria.cfg", "srv_domain = a.example\nuse_srv = true\n")
    asked = []

    def srv(record: str, _: float) -> SrvAnswer:
        asked.append(record)
        return SrvAnswer(record, problem="no such record")

    ways = replace(QUIET, srv=srv)
    loaded(home, {"CHORIA_SRV_DOMAIN": "b.example"}, ways)
    assert asked == ["_mcollective-broker._tcp.b.example"]


def test_plugin_files_are_read_in_byte_order(home: Path) -> None:
    for name in ("b.cfg", "a.cfg", "Z.cfg", "ä.cfg"):
        plugin(home, name, "x = 1\n")
    names = [file.name for file in loaded(home).files[1:]]
    assert names == sorted(names, key=os.fsencode)
    assert names[0] == "Z.cfg"


def test_other_plugin_files_are_inert_but_for_families(home: Path) -> None:
    key = "9b0b5c1f1f2bb2a0c1c6a4f4c2a0b1f0f3a7c1d8e4b6a9f2c3d5e7f8091a2b3c"
    add(home, "plugin.security.issuer.names = ACME")
    file = plugin(home, "security.cfg", f"provider = puppet\nissuer.ACME.public = {key}\n")
    result = loaded(home)
    assert [issuer.name for issuer in good(result).security.issuers] == ["ACME"]
    finding = one(result, "inert-plugin-file")
    assert str(finding).startswith(f"{file}:1: plugin.security.provider = puppet")


def test_conf_files_beside_cfg_files(home: Path) -> None:
    plugin(home, "choria.conf", "network.client_port = 1\n")
    file = plugin(home, "choria.cfg", "network.client_port = 4333\n")
    plugin(home, "README", "words\n")
    result = loaded(home)
    assert good(result).network.client_port == 4333
    assert result.files[1:] == (file,)
    assert str(one(result, "plugin-conf-file")).startswith(str(home / "plugin.d" / "choria.conf"))


@pytest.mark.parametrize(
    ("environ", "read"),
    [
        ({}, True),
        ({"HOME": ""}, True),
        ({"HOME": "/"}, True),
        ({"HOME": "//"}, True),
        ({"HOME": "{home}"}, False),
        ({"HOME": "{home}/"}, False),
        ({"HOME": "{parent}"}, False),
        ({"HOME": "{start}"}, True),
    ],
)
def test_the_home_directory(home: Path, environ: dict[str, str], read: bool) -> None:
    plugin(home, "choria.cfg", "network.client_port = 4333\n")
    # The beginning of a component is not the component.
    words = {"home": str(home), "parent": str(home.parent), "start": str(home)[:-1]}
    result = loaded(home, {key: value.format(**words) for key, value in environ.items()})
    assert good(result).network.client_port == (4333 if read else 4222)
    if not read:
        assert one(result, "plugin-files-skipped").severity is Severity.INFO


def test_plugin_directories_that_cannot_be_read(home: Path) -> None:
    (home / "plugin.d").write_text("a file\n")
    assert one(loaded(home), "plugin-unreadable").severity is Severity.REFUSE
    (home / "plugin.d").unlink()
    (home / "plugin.d" / "x.cfg").mkdir(parents=True)
    finding = one(loaded(home), "plugin-unreadable")
    assert finding.severity is Severity.REFUSE
    assert "x.cfg: is a directory" in finding.problem


def test_missing_files_are_all_listed(home: Path) -> None:
    (home / "cert.pem").unlink()
    (home / "ca.pem").unlink()
    add(home, f"{NET}client_signer_cert = {home}/a.pem, {home}/b.pem")
    result = loaded(home)
    assert [finding.code for finding in result.findings] == ["tls-file-missing"] * 2 + ["signer-missing"] * 2
    assert result.settings is None


@pytest.mark.parametrize(
    ("store", "problem"),
    [
        ("{home}/a/b/c", ""),
        ("{home}", ""),
        ("{home}/cert.pem", "not a directory"),
        ("{home}/cert.pem/x", "not a directory"),
    ],
)
def test_the_store_is_checked(home: Path, store: str, problem: str) -> None:
    add(home, f"{NET}stream.store = {store.format(home=home)}")
    result = loaded(home)
    if problem:
        assert problem in one(result, "store-not-writable").problem
    else:
        assert result.findings == ()
    assert not (home / "a").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_store_of_somebody_else(home: Path) -> None:
    add(home, f"{NET}stream.store = {home}/locked/store")
    (home / "locked").mkdir(mode=0o500)
    assert "cannot be written" in one(loaded(home), "store-not-writable").problem


def test_discovery_is_only_asked_for_what_is_missing(home: Path) -> None:
    def never(*_: object) -> NoReturn:
        raise AssertionError

    ways = replace(QUIET, hostname=never, full_name=never, srv=never, run=never)
    assert good(loaded(home, discovery=ways)).identity == IDENTITY


def test_puppet_is_asked_and_identity_is_found(home: Path) -> None:
    (home / "broker.conf").write_text("plugin.choria.broker_network = true\n")
    ssl = home / "ssl"
    for place, source in (("certs", "cert.pem"), ("private_keys", "key.pem")):
        (ssl / place).mkdir(parents=True)
        (ssl / place / f"{IDENTITY}.pem").write_bytes((home / source).read_bytes())
    (ssl / "certs" / "ca.pem").write_bytes((home / "ca.pem").read_bytes())
    ways = replace(QUIET, hostname=lambda: IDENTITY, puppet_directory=ssl)
    result = loaded(home, discovery=ways)
    assert good(result).identity == IDENTITY
    assert good(result).tls.files is not None
    assert [finding.severity for finding in result.findings] == [Severity.INFO]


def test_peers_from_dns(home: Path) -> None:
    add(home, "plugin.choria.use_srv = true")
    targets = ((IDENTITY, 5222), ("me.example", 5222), ("other.example", 5222))
    ways = replace(
        QUIET,
        srv=lambda record, _: SrvAnswer(record, targets),
        addresses=lambda host: {"me.example": ("192.0.2.1",), "other.example": ("192.0.2.2",)}.get(host, ()),
        is_local=lambda address: address == "192.0.2.1",
    )
    cluster = good(loaded(home, discovery=ways)).network.cluster
    assert cluster.source == "_mcollective-broker._tcp.example.net"
    assert len(cluster.peers) == 3
    assert [route.host for route in cluster.routes] == ["other.example"]


def test_no_domain_is_only_mentioned(home: Path) -> None:
    add(home, "plugin.choria.use_srv = true", "identity = broker")
    result = loaded(home)
    assert good(result).network.cluster.peers == ()
    assert one(result, "no-srv-domain").severity is Severity.INFO


def test_leniency(home: Path) -> None:
    add(home, NET + "client_port = 14230x")
    assert loaded(home).settings is None
    result = load(home / "broker.conf", Overrides(lenient=True), {}, discovery=QUIET)
    assert good(result).network.client_port == 4222


@pytest.mark.parametrize(
    "line",
    [
        "plugin.choria.network.operator_account = admin:hunter2",
        "plugin.choria.network.operator_account = hunter2@host:4222",
        "plugin.choria.network.leafnode_remotes = hunter2@host:4222",
        "plugin.choria.network.leafnode_remote.hunter2@host.url = host:7422",
        "plugin.security.issuer.names = h;nats://u:hunter2",
    ],
)
def test_what_was_pasted_for_a_name_is_not_shown(home: Path, line: str) -> None:
    add(home, line)
    findings = loaded(home).findings
    assert findings
    assert not [finding for finding in findings if "hunter2" in f"{finding}{finding!r}"]
