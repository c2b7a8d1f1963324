"""``hemo-batch submit``: a path goes in, a report per scan comes out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from hemo_cli.commands.jobs import exit_of, store_at
from hemo_cli.commands.results import show_job
from hemo_cli.console import out as console
from hemo_cli.console import plain, print_json
from hemo_cli.failure import Exit
from hemo_cli.kinds import JobName
from hemo_cli.machine import Machine, run_here
from hemo_cli.options import (
    broker_option,
    bundle_option,
    chosen_overlays,
    demanded,
    device_option,
    explainer_option,
    json_option,
    on_command_line,
    out_option,
    outputs_option,
    overlays_option,
    precision_option,
    root_option,
    rows_option,
    trusted_option,
)
from hemo_cli.progress import follow
from hemo_cli.selection import Selection, selection_options
from hemo_core.errors import UsageError

if TYPE_CHECKING:
    from hemo_core.bundle.keys import PublicKey
    from hemo_core.inference.precision import Wanted
    from hemo_core.jobs import Priority, Progress
    from hemo_core.jobs.submission import Submission


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@out_option
@click.option("--job", type=JobName(), help="Name of the job and of its folder. [default: the time]")
@broker_option
@root_option
@bundle_option
@trusted_option
@device_option
@precision_option
@explainer_option
@selection_options
@overlays_option
@outputs_option
@click.option("--max-overlays", type=click.IntRange(min=0), default=8, show_default=True, help="Heat maps a scan.")
@click.option("--priority", type=click.Choice(["high", "normal", "low"]), default="normal", show_default=True)
@click.option("--no-wait", is_flag=True, help="Return as soon as the job is on the broker.")
@rows_option
@json_option
def submit(
    path: Path,
    out: Path,
    job: str | None,
    broker: str | None,
    roots: dict[str, Path],
    bundle: Path | None,
    trusted_keys: tuple[PublicKey, ...],
    device: str,
    precision: Wanted,
    explainer: str,
    selection: Selection,
    overlays: str,
    no_explain: bool,
    outputs: tuple[str, ...],
    max_overlays: int,
    priority: str,
    no_wait: bool,
    rows: int,
    as_json: bool,
) -> int:
    """Score every scan in PATH, a folder or one file.

    The folder may hold any mixture of DICOM, NIfTI and pictures. With no broker, a private one and a worker are started
    on this machine, and stopped when the job is done. Ctrl-C leaves a job that `resume` finishes. With a broker, a
    --precision other than auto leaves the job to workers that compute in it.

    Exit code 0 if every scan got its row, 1 if some could not be processed.
    """
    from hemo_core.jobs import JobOptions
    from hemo_core.jobs.header import DEFAULT_OUTPUTS
    from hemo_core.jobs.submission import prepare_submission

    if no_wait and not broker:
        raise UsageError("--no-wait needs a broker that outlives this command", hint="add --broker redis://HOST")
    for name in ("device", "explainer"):
        if broker and on_command_line(name):
            raise UsageError(f"--{name} is chosen by the workers of a broker", hint=f"hemo-batch worker --{name} …")
    drawing = chosen_overlays(overlays, no_explain=no_explain)
    submission = prepare_submission(
        path,
        out,
        selection.discover,
        job=job,
        roots=roots,
        bundle=bundle,
        trusted=trusted_keys,
        options=JobOptions(
            explain=drawing != "never",
            unverified_overlays=drawing == "always",
            max_overlays=max_overlays,
            allow_implausible=selection.allow_implausible,
            precision=demanded(precision),
            outputs=outputs or DEFAULT_OUTPUTS,
        ),
        priority=cast("Priority", priority),
    )
    if broker:
        ended = _submit_there(submission, broker, wait=not no_wait, quiet=as_json)
        if ended is None:
            _say_submitted(submission, broker, as_json=as_json)
            return Exit.DONE
    else:
        machine = Machine(
            submission.mounts,
            submission.bundle.path,
            device,
            precision,
            explainer,
            tuple(key.text for key in trusted_keys),
        )
        ended = run_here(submission.job_dir, machine, submission.place, quiet=as_json)
    show_job(submission.job_dir, rows, as_json=as_json)
    return exit_of(ended.failed)


def _submit_there(submission: Submission, url: str, *, wait: bool, quiet: bool) -> Progress | None:
    with store_at(url) as store:
        header = submission.place(store)
        return follow(store, header.job, quiet=quiet) if wait else None


def _say_submitted(submission: Submission, url: str, *, as_json: bool) -> None:
    from hemo_core.jobs.queue import safe_url

    job = submission.job_dir.name
    if as_json:
        print_json({"job": job, "folder": str(submission.job_dir.resolve()), "broker": safe_url(url)})
        return
    console().print(f"submitted [bold]{plain(job)}[/], reports in {plain(submission.job_dir)}", soft_wrap=True)
    console().print(f"hemo-batch watch {plain(job)}")
