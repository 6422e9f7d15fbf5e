"""What a machine takes, told by what a trial found."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.capacity.estimate import Capacity, Sample, estimate


@pytest.mark.parametrize(
    ("sample", "rate", "bound"),
    [
        (Sample(logins=100, cores=2, total=0.4, python=0.05), 500.0, "cores"),
        (Sample(logins=100, cores=64, total=0.4, python=0.05), 2000.0, "process"),
        (Sample(logins=100, cores=8, total=0.4, python=0.05), 2000.0, "cores"),
        (Sample(logins=10, cores=1, total=0.1, python=0.0), 100.0, "cores"),
    ],
)
def test_cores_or_the_one_process_bound_it(sample: Sample, rate: float, bound: str) -> None:
    found = estimate(sample, "/tls/cert.pem", "RSA, 4096 bits", 1500)
    assert (found.per_second, found.bound) == (rate, bound)
    assert found.seconds == round(1500 / rate, 1)
    assert (found.certificate, found.key, found.nodes) == ("/tls/cert.pem", "RSA, 4096 bits", 1500)


def test_costs_are_told_in_milliseconds() -> None:
    found = estimate(Sample(logins=300, cores=2, total=0.9, python=0.15), "c", "k", 1)
    assert (found.cpu_ms, found.python_ms, found.logins, found.cores) == (3.0, 0.5, 300, 2)


@given(st.integers(1, 10**5), st.integers(1, 512), st.floats(1e-4, 1e3), st.floats(0, 1), st.integers(1, 10**6))
def test_more_cores_never_make_it_slower(logins: int, cores: int, total: float, part: float, nodes: int) -> None:
    def on(count: int) -> Capacity:
        return estimate(Sample(logins, count, total, total * part), "c", "k", nodes)

    assert on(cores + 1).per_second >= on(cores).per_second
    assert on(cores + 1).seconds <= on(cores).seconds
