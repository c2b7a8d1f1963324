"""A real worker whose reader dies on scans named ``killer``, as a decoder with a memory error would."""

from __future__ import annotations

import os
import signal
import sys
from functools import partial

from hemo_cli.main import run
from hemo_core.processes import few_threads


def read(ref, mount, **options):
    from hemo_core.scans.readers import read_scan

    if "killer" in ref.path:
        os.kill(os.getpid(), signal.SIGKILL)
    return read_scan(ref, mount, **options)


if __name__ == "__main__":
    few_threads()
    from hemo_worker import startup

    startup.run_worker = partial(startup.run_worker, opener=read)
    sys.exit(run(["worker", *sys.argv[1:]]))
