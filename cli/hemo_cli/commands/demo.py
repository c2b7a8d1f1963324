"""``hemo-batch demo``: synthetic scans, start to end, and an honest comparison with their truth."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from hemo_cli.selection import Intake
from hemo_core import records
from hemo_core.bundle.findings import NO_FINDING

if TYPE_CHECKING:
    from hemo_core.bundle.keys import PublicKey
    from hemo_core.inference.precision import Wanted
    from hemo_core.jobs.results import SummaryRow

_ALL_ROWS = 100


@dataclass(frozen=True, slots=True)
class TruthComparison:
    """Demo scans against their truth.

    Attributes:
        scored: scans that were to be scored and were.
        agree: of those, scans whose label is the truth (`review` counts as positive).
        unexpected: scans whose outcome is not the expected one, ``path: expected → got``.
        differ: scans whose label is not the truth, in the same words.
    """

    scored: int
    agree: int
    unexpected: tuple[str, ...]
    differ: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {"scored": self.scored, "agree": self.agree, "differ": self.differ, "unexpected": self.unexpected}


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

    _write_phantoms(phantoms, quiet=as_json)
    intake = Intake(group_folders=False, all_series=False, overrides=frozenset(), allow_implausible=False)
    options = JobOptions(precision=demanded(precision))
    submission = prepare_submission(
        phantoms, out, intake.discover, bundle=bundle, trusted=trusted_keys, options=options
    )
    keys = tuple(key.text for key in trusted_keys)
    machine = Machine(submission.mounts, submission.bundle.path, device, precision, explainer, keys)
    run_here(submission.job_dir, machine, submission.place, quiet=as_json)
    found = read_results(submission.job_dir, _ALL_ROWS)
    compared = compare(phantoms, {row.path: row for row in (*found.scored, *found.not_scored)})
    if as_json:
        print_json({**records.encode(found), "truth": compared.to_json()})
    else:
        show_results(found)
        _show(compared)
    return Exit.SCANS_FAILED if compared.unexpected else Exit.DONE


def compare(phantoms: Path, rows: Mapping[str, SummaryRow]) -> TruthComparison:
    """Compare results by path with the truth that lies beside the phantoms."""
    from hemo_core.phantoms.demo import TRUTH_FILE

    scored, agree = 0, 0
    unexpected: list[str] = []
    differ: list[str] = []
    with (phantoms / TRUTH_FILE).open(encoding="utf-8", newline="") as stream:
        for truth in csv.DictReader(stream):
            row = rows.get(truth["path"])
            got = "no row" if row is None else row.outcome
            wanted = truth["expected"] if truth["expected"] in ("rejected", "failed") else "scored"
            if row is None or got != wanted:
                unexpected.append(f"{truth['path']}: expected {wanted}, got {got}")
            elif wanted == "scored":
                scored += 1
                if (row.label == NO_FINDING) == (truth["expected"] == NO_FINDING):
                    agree += 1
                else:
                    differ.append(f"{truth['path']}: truth {truth['expected']}, the model says {row.label}")
    return TruthComparison(scored, agree, tuple(unexpected), tuple(differ))


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
