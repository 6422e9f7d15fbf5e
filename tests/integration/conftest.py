from __future__ import annotations

from collections.abc import Iterator

import prometheus_client  # noqa: F401 - tests ask for metrics in their loop, where loading it would block
import pytest

from support.blocking import nothing_blocks_the_loop  # noqa: F401 - as below
from support.control_socket import environ, socket_path  # noqa: F401 - fixtures of tests of the control socket
from support.leaks import no_secret_is_logged  # noqa: F401 - a fixture for every test here


@pytest.fixture(autouse=True, scope="session")
def runtime_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the control sockets of brokers out of the machine's runtime directories, also those of killed brokers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
        yield
