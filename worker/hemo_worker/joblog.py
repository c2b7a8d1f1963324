"""``job.log``: a JSON line per ended scan with what a report must not hold: time, host, process, durations."""

from __future__ import annotations

import json
import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hemo_core.files import as_sink_error
from hemo_core.jobs import layout


class JobLog:
    """Appends to a job's log; each line is one write, so lines of several workers do not mix.

    Raises:
        SinkError: the disk refuses.
    """

    def __init__(self, job_dir: Path) -> None:
        self.path = job_dir / layout.LOG
        with as_sink_error(self.path):
            self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        self._who = {"host": socket.gethostname(), "pid": os.getpid()}

    def write(self, event: str, **facts: Any) -> None:
        """Append one event. Raises SinkError."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"time": now, "event": event, **self._who, **facts}, sort_keys=True) + "\n"
        with as_sink_error(self.path):
            os.write(self._file, line.encode("ascii"))

    def close(self) -> None:
        """Give the file descriptor back."""
        os.close(self._file)
