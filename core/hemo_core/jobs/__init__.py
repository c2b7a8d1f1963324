"""Jobs: submit, progress, cancel, resume, retry; and what workers need to work them off."""

from hemo_core.jobs.header import JobHeader, JobOptions, Priority, load_job_header, read_job_header
from hemo_core.jobs.on_disk import ReportedProgress, is_complete, reported_progress
from hemo_core.jobs.progress import Ending, JobState, Progress
from hemo_core.jobs.rows import JobRows
from hemo_core.jobs.store import POLL_S, Claim, JobStore, Marked
from hemo_core.jobs.submit import cancel, enqueue, new_job_id, resume, retry_failed, submit

__all__ = [
    "POLL_S",
    "Claim",
    "Ending",
    "JobHeader",
    "JobOptions",
    "JobRows",
    "JobState",
    "JobStore",
    "Marked",
    "Priority",
    "Progress",
    "ReportedProgress",
    "cancel",
    "enqueue",
    "is_complete",
    "load_job_header",
    "new_job_id",
    "read_job_header",
    "reported_progress",
    "resume",
    "retry_failed",
    "submit",
]
