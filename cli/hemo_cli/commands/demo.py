"""``hemo-batch demo``: synthetic scans, start to end, and an honest comparison with their truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hemo_cli.commands.results import show_results
from hemo_cli.console import err, plain, print_json
from hemo_cli.console import out as console
from hemo_cli.failure import Exit
from hemo_cli.kinds import OutputFolder
from hemo_cli.machine import Machine, run_here
from hemo_cli.options import (
    bundle_option,
    demanded,
    device_option,
    explainer_option,
    json_option,
    out_option,
    precision_option,
    trusted_option,
)
from hemo_cli.selection import Selection
from hemo_core import records

if TYPE_CHECKING:
    from hemo_core.bundle.keys import PublicKey
    from hemo_core.inference.precision import Wanted
    from hemo_core.phantoms.demo import TruthComparison

_ALL_ROWS = 100


@click.command()
@click.option(
    "--phantoms",
    type=OutputFolder(),
    default=Path("phantoms"),
    show_default=True,
    help="Folder for the synthetic scans; written if absent.",
)
@out_option
@bundle_option
@trusted_option
@device_option
@precision_option
@explainer_option
@json_option
def demo(
    phantoms: Path,
    out: Path,
    bundle: Path | None,
    trusted_keys: tuple[PublicKey, ...],
    device: str,
    precision: Wanted,
    explainer: str,
    as_json: bool,
) -> int:
    """Score synthetic scans and compare with their truth.

    Phantoms show that the software works. They say nothing about how well the model reads patients.
    """
    from hemo_core.jobs import JobOptions
    from hemo_core.jobs.results import read_results
    from hemo_core.jobs.submission import prepare_submission
    from hemo_core.phantoms.demo import compare_with_truth

    _write_phantoms(phantoms, quiet=as_json)
    selection = Selection(group_folders=False, all_series=False, overrides=frozenset(), allow_implausible=False)
    options = JobOptions(precision=demanded(precision))
    submission = prepare_submission(
        phantoms, out, selection.discover, bundle=bundle, trusted=trusted_keys, options=options
    )
    keys = tuple(key.text for key in trusted_keys)
    machine = Machine(submission.mounts, submission.bundle.path, device, precision, explainer, keys)
    run_here(submission.job_dir, machine, submission.place, quiet=as_json)
    found = read_results(submission.job_dir, _ALL_ROWS)
    rows = (*found.scored, *found.not_scored)
    compared = compare_with_truth(phantoms, {row.path: (row.outcome, row.label) for row in rows})
    if as_json:
        print_json({**records.encode(found), "truth": records.encode(compared)})
    else:
        show_results(found)
        _show(compared)
    return Exit.SCANS_FAILED if compared.unexpected else Exit.DONE


def _write_phantoms(folder: Path, *, quiet: bool) -> None:
    from hemo_core.phantoms.demo import TRUTH_FILE, write_demo

    if (folder / TRUTH_FILE).is_file():
        return
    if quiet:
        write_demo(folder)
        return
    with err().status("writing synthetic scans"):
        written = write_demo(folder)
    err().print(f"[dim]wrote {len(written)} synthetic scans to {plain(folder)}[/]")


def _show(compared: TruthComparison) -> None:
    console().print(
        f"[bold]phantoms[/]: {compared.agree} of {compared.scored} labels agree with the truth. "
        "Phantoms are no patients: this tests the software, not the model."
    )
    for line in compared.differ:
        console().print(f"  differs     {plain(line)}")
    for line in compared.unexpected:
        console().print(f"  [red]unexpected[/]  {plain(line)}")
