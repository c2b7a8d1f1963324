"""What a worker's child does with the troubles of a job, without a model."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest

from hemo_core.errors import JobError
from hemo_worker.child import Child


def child(header: Any) -> Any:
    """A child whose broker answers so, and what it tells whoever watches."""
    told: list[str] = []
    store = SimpleNamespace(header=header, note=lambda job, text: told.append(f"{job}: {text}"))
    bare = Child.__new__(Child)
    bare.pid = os.getpid()
    bare.shared = SimpleNamespace(stopping=lambda: False)
    bare.tools = SimpleNamespace(store=store)
    return bare, told


def test_a_malformed_job_is_told_and_left_alone() -> None:
    def header(_: str) -> None:
        raise JobError("malformed job header: expected `int`, got `str` - at `$.total`")

    worker, told = child(header)
    worker.handle("night", 0)
    assert told == ["night: malformed job header: expected `int`, got `str` - at `$.total`"]


def test_what_nobody_foresaw_is_told_too() -> None:
    def header(_: str) -> None:
        raise TypeError("NoneType")

    worker, told = child(header)
    with pytest.raises(TypeError):
        worker.handle("night", 0)
    assert told == ["night: unforeseen TypeError, see the worker's log: NoneType"]
