"""What a worker says of itself to whoever started it."""

from __future__ import annotations

import os

import pytest

from hemo_core.errors import DeviceError, HemoError, JobError
from hemo_worker.shared import Fatal, Ready, Shared, hear


@pytest.mark.parametrize(
    "said", [Ready("CPUExecutionProvider", "fp32", "the default", "tf", "d1ce"), Fatal("x", "gone", 5)]
)
def test_what_is_said_is_heard(said: Ready | Fatal) -> None:
    reader, writer = os.pipe()
    try:
        Shared(ready_fd=writer).say(said)
        assert hear(os.read(reader, 65536)) == said
    finally:
        os.close(reader)
        os.close(writer)


def test_what_stopped_the_worker_is_raised_as_what_it_was() -> None:
    problem = Fatal.of(DeviceError("no such device", hint="use the CPU")).error()
    assert type(problem) is DeviceError
    assert str(problem) == "no such device (use the CPU)"
    assert type(Fatal("of a newer version", "x", 1).error()) is HemoError


@pytest.mark.parametrize("line", [b"", b"Segmentation fault", b"[]", b"{}", b'{"ready": true}', b'{"ready": "yes"}'])
def test_what_no_worker_says_is_a_job_error(line: bytes) -> None:
    with pytest.raises(JobError, match="malformed word of the worker"):
        hear(line)
