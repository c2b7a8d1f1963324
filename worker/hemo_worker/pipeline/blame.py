"""Whose failure it is: a scan's costs its own row; the device's and the installation's stop the worker."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import TypeVar

from hemo_core.errors import DeviceError, HemoError, ScanError
from hemo_core.scans.scan import ScanRef

T = TypeVar("T")

_LOG = logging.getLogger(__name__)


def unforeseen(ref: ScanRef, doing: str, problem: Exception) -> ScanError:
    """A failure nobody foresaw, as the scan's own error: it must not cost the other scans of the chunk.

    Raises:
        DeviceError: a module cannot be imported, which no scan is to blame for and every scan like it would meet.
    """
    if isinstance(problem, ImportError):
        raise DeviceError(
            f"the installation is broken, {doing} a scan: {problem}",
            hint="install hemo-batch again; no scan was failed",
        ) from problem
    trace = "".join(traceback.format_tb(problem.__traceback__))  # an exception's own text may quote a header
    _LOG.error("unforeseen %s while %s %s\n%s", type(problem).__name__, doing, ref.path, trace)
    return ScanError(f"unforeseen {type(problem).__name__} while {doing}", path=ref.path, hint="see the worker's log")


def on_device(call: Callable[[], T]) -> T:
    """Run the model; a failure that is not about the scan means the device is broken. Raises DeviceError."""
    try:
        return call()
    except HemoError:
        raise
    except Exception as problem:
        raise DeviceError(f"the model stopped running: {problem}", hint="see the worker's log") from problem
