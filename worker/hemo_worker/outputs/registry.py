"""The outputs of a scan, in the order in which they are made and written. A new one is one line here."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial
from operator import eq
from types import MappingProxyType

from hemo_core.jobs import layout
from hemo_core.report import Report, dump_report
from hemo_worker.outputs.output import Files, Output, ScanResult
from hemo_worker.outputs.pictures import pictures
from hemo_worker.outputs.scan_page import page

_PLAIN_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]*")


def _report(result: ScanResult) -> Files:
    return {layout.REPORT: dump_report(result.report)}


OUTPUTS: Mapping[str, Output] = MappingProxyType(
    {
        "pictures": Output(pictures, layout.is_picture_name, heatmaps=True),
        "page": Output(page, partial(eq, layout.SCAN_PAGE)),
        "report": Output(_report, partial(eq, layout.REPORT)),  # last: a folder that has it is complete
    }
)


def make_files(
    result: ScanResult, chosen: Collection[str], outputs: Mapping[str, Output] = OUTPUTS
) -> tuple[Report, dict[str, bytes]]:
    """The files of the chosen outputs, and of the report whether chosen or not.

    Returns:
        The report, which names all files but its own, and the files in the order in which they are to be written.

    Raises:
        ValueError: an output gave a name that is not its own.
        ScanError: from an output, where the scan is at fault.
    """
    report, files = result.report, dict[str, bytes]()
    for name, output in outputs.items():
        if name in chosen or name == "report":
            report = naming(report, files)
            files |= _made(name, output, replace(result, report=report))
    return report, files


def _made(name: str, output: Output, result: ScanResult) -> Files:
    made = output.files(result)
    wrong = [file for file in made if not (output.owns(file) and _PLAIN_NAME.fullmatch(file))]
    if wrong:
        raise ValueError(f"the output {name} must not write {wrong}")
    return made


def naming(report: Report, files: Collection[str]) -> Report:
    """The same report beside these files; a slice names its picture if that is among them."""
    slices = tuple(
        replace(item, picture=name if (name := layout.picture_name(item.number - 1)) in files else None)
        for item in report.slices
    )
    return replace(report, slices=slices, files=tuple(sorted(files)))


def is_output(file: str, outputs: Mapping[str, Output] = OUTPUTS) -> bool:
    """Whether some output writes files of that name."""
    return any(output.owns(file) for output in outputs.values())
