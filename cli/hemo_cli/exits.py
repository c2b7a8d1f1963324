"""Exit codes: the contract with shell scripts and schedulers."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What a finished command says to its caller."""

    DONE = 0
    """Everything asked for is done; a finding is not an error."""
    SCANS_FAILED = 1
    """The job ended but some scans failed, or the command could not do its work."""
    USAGE = 2
    """A wrong flag, path or setting; nothing was started."""
    BROKER = 3
    """Redis cannot be reached."""
    BUNDLE = 4
    """The model bundle is missing, altered or unsafe."""
    DEVICE = 5
    """The device that was asked for did not come up."""
    BUG = 70
    """An unexpected error; please report it with the traceback."""
    INTERRUPTED = 130
    """Ctrl-C; a job that was running can be resumed."""
