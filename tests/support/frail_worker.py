"""A real worker whose reader dies on scans named ``killer``, as a decoder with a memory error would."""

from __future__ import annotations

import os
import signal
import sys

from hemo_core.processes import few_threads
from hemo_worker.__main__ import settings_of


def read(ref, mount, **options):
    from hemo_core.scans.readers import read_scan

    if "killer" in ref.path:
        os.kill(os.getpid(), signal.SIGKILL)
    return read_scan(ref, mount, **options)


if __name__ == "__main__":
    few_threads()
    from hemo_core.errors import HemoError
    from hemo_worker.startup import run_worker

    try:
        sys.exit(run_worker(settings_of(), opener=read))
    except HemoError as problem:
        sys.exit(problem.exit_code)
