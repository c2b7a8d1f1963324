"""Celery glue, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from hemo_core.jobs.queue import SENT_HEADER, TASK
from hemo_worker.child import Child


def register(app: Any, child: Callable[[], Child | None]) -> None:
    """Make ``app`` run chunk messages.

    Args:
        app: of :func:`hemo_core.jobs.queue.make_app`.
        child: this process's :class:`Child`; None while the worker is stopping for lack of a model.
    """

    @app.task(name=TASK, bind=True)  # type: ignore[untyped-decorator]
    def chunk(self: Any, job: str, first: int, last: int) -> None:  # noqa: ARG001  (last is for whoever reads messages)
        worker = child()
        if worker is None or worker.shared.stopping():
            from celery.exceptions import Reject

            raise Reject("the worker is stopping", requeue=True)
        sent = (self.request.headers or {}).get(SENT_HEADER)
        if sent is not None:
            worker.meter.queue_wait.observe(max(0.0, time.time() - float(sent)))
        worker.handle(job, first)
