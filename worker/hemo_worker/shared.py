"""What a worker's parent and child share. Made in the parent before the fork."""

from __future__ import annotations

import contextlib
import ctypes
import json
import multiprocessing
import os
import secrets
import signal
import socket
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import RawValue
from typing import Any

from hemo_core import records
from hemo_core.bundle.manifest import PRECISIONS, Precision
from hemo_core.errors import HemoError, JobError, all_errors


@dataclass(frozen=True, slots=True)
class Ready:
    """A model is loaded.

    Attributes:
        provider: what it runs on.
        precision, reason: what it computes in, and why in that.
        explainer: what draws its heat maps.
        bundle: digest of the model.
    """

    provider: str
    precision: Precision
    reason: str
    explainer: str
    bundle: str
    ready: bool = True


@dataclass(frozen=True, slots=True)
class Fatal:
    """Why the worker must stop: what the error was."""

    code: str
    message: str
    exit_code: int
    ready: bool = False

    @classmethod
    def of(cls, problem: HemoError) -> Fatal:
        """What is told of an error."""
        return cls(problem.code, str(problem), problem.exit_code)

    def error(self) -> HemoError:
        """The error, of the class that has the code."""
        kind = next((kind for kind in all_errors() if kind.code == self.code), HemoError)
        return kind(self.message)


def hear(line: bytes) -> Ready | Fatal:
    """Inverse of :meth:`Shared.say`. Raises JobError on what no worker says."""
    what = "word of the worker"
    value = records.loads(line, error=JobError, what=what)
    said: type[Ready | Fatal] = Ready if isinstance(value, dict) and value.get("ready") is True else Fatal
    return records.decode(said, value, error=JobError, what=what)


def _flag() -> Any:
    return RawValue(ctypes.c_int, 0)


def _pipe() -> tuple[Connection, Connection]:
    return multiprocessing.Pipe(duplex=False)


@dataclass(frozen=True, slots=True)
class Shared:
    """Shared memory and a pipe.

    Attributes:
        worker: this worker's id, unique also among workers of one machine.
        parent: pid of the worker's parent.
        ready_fd: gets one line of JSON when the model is loaded, or cannot be.
    """

    ready_fd: int | None = None
    worker: str = field(default_factory=lambda: f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}")
    parent: int = field(default_factory=os.getpid)
    _stopping: Any = field(default_factory=_flag)
    _children: Any = field(default_factory=_flag)
    _loaded: Any = field(default_factory=_flag)
    _fatal: tuple[Connection, Connection] = field(default_factory=_pipe)

    def stop(self) -> None:
        """Tell the child to finish what is in flight and take nothing new. Safe in a signal handler."""
        self._stopping.value = 1

    def stopping(self) -> bool:
        """Whether the worker is shutting down."""
        return bool(self._stopping.value)

    def count_child(self) -> int:
        """Count a child's start; called by the only child there is. 1 for the first."""
        self._children.value += 1
        return int(self._children.value)

    def loaded(self, precision: Precision) -> None:
        """Called in the child: the model is loaded, in this precision."""
        self._loaded.value = 1 + PRECISIONS.index(precision)

    def precision(self) -> Precision | None:
        """Called in the parent: what the child's model computes in; None before it is loaded."""
        return PRECISIONS[self._loaded.value - 1] if self._loaded.value else None

    def fail(self, problem: HemoError) -> None:
        """Called in the child: have the worker stop, with the problem's exit code."""
        fatal = Fatal.of(problem)
        self._fatal[1].send(fatal)
        self.say(fatal)
        self.stop()
        os.kill(self.parent, signal.SIGTERM)

    def fatal(self) -> Fatal | None:
        """Called in the parent: why the child had the worker stop, if it did."""
        reader = self._fatal[0]
        return reader.recv() if reader.poll() else None

    def say(self, fact: Ready | Fatal) -> None:
        """One line to whoever started the worker, if they want to know."""
        if self.ready_fd is not None:
            with contextlib.suppress(BrokenPipeError):  # they have gone; the worker works on
                os.write(self.ready_fd, (json.dumps(records.encode(fact)) + "\n").encode())
