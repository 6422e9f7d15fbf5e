"""What ``choria-broker capacity`` measures, with a broker of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from choria_broker.capacity import trial
from choria_broker.cli import main
from choria_broker.upgrade.program import Program
from support.testbed import IDENTITY, Authority, configuration
from support.upgrading import PROGRAM

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(autouse=True)
def own_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the broker of the trial be the installed program, since this one is pytest."""
    monkeypatch.setattr(trial, "this_program", lambda: Program(str(PROGRAM), (str(PROGRAM),), ()))


def capacity(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["capacity", *map(str, words)])


@pytest.mark.parametrize(("as_rsa", "key"), [(True, "RSA, 2048 bits"), (False, "ECDSA, secp256r1")])
def test_logins_of_this_machine_are_measured(tmp_path: Path, authority: Authority, as_rsa: bool, key: str) -> None:
    config = configuration(tmp_path, authority)
    authority.issue(IDENTITY, "localhost", rsa=as_rsa)
    done = capacity("--config", config, "--nodes", "500", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["key"] == key
    assert found["logins"] > 0
    assert 0 < found["python_ms"] < found["cpu_ms"]
    assert found["per_second"] > 0
    assert found["seconds"] == pytest.approx(500 / found["per_second"], rel=0.1, abs=0.1)


def test_what_cannot_be_measured_is_told(tmp_path: Path, authority: Authority) -> None:
    config = configuration(tmp_path, authority)
    for words, why in (
        (("--config", config, "--disable-tls"), "TLS is off"),
        (("--config", tmp_path / "nowhere.conf"), "would not start with this configuration"),
        ((), "configuration file required"),
    ):
        done = capacity(*words)
        assert (done.exit_code, done.stdout) == (1, "")
        assert why in done.stderr
