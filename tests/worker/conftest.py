"""A job folder with reports in it, made without a broker and without a model."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from findings import one_finding

from hemo_core import records
from hemo_core.bundle.contract import HeatmapCheck, InputContract, ScoringContract
from hemo_core.inference.scoring import score_scan
from hemo_core.jobs import JobHeader, layout
from hemo_core.jobs.header import DEFAULT_OUTPUTS
from hemo_core.jobs.layout import is_picture_name, picture_name
from hemo_core.jobs.rows import write_ignored, write_rows
from hemo_core.report import EngineFacts, Report, scored_report
from hemo_core.scans.preprocess import Prepared, prepare
from hemo_core.scans.scan import Geometry, Scan, ScanRef, Slice
from hemo_worker.outputs.output import ExplainedSlice, Output, ScanResult, Scored
from hemo_worker.outputs.registry import OUTPUTS, make_files, naming
from hemo_worker.outputs.scan_files import write_scan

ENGINE = EngineFacts("CPUExecutionProvider")


@dataclass(frozen=True)
class FakeBundle:
    name: str = "hemo-test"
    version: str = "1.2.3"
    digest: str = "sha256:" + "ab" * 32
    scoring: ScoringContract = one_finding(threshold=0.4)  # noqa: RUF009 (frozen)
    heatmap_check: HeatmapCheck = "not_measured"


class Workshop:
    """Makes scans, reports and job folders."""

    bundle = FakeBundle()
    engine = ENGINE

    def ref(self, number: int = 0, path: str | None = None, slices: int = 4, **changes) -> ScanRef:
        path = path or f"study/{number}"
        files = tuple(f"{path}/{at}.dcm" for at in range(slices))
        return ScanRef(f"{number:016x}", "scans", path, files, "dicom", **changes)

    def scan(self, ref: ScanRef, side: int = 128, quality: Sequence[str] = ("phantom",)) -> Scan:
        rows, columns = np.mgrid[:side, :side]
        head = np.hypot(columns - side / 2, rows - side / 2) < side * 0.4
        pixels = np.where(head, 40.0, -1000.0).astype(np.float32)
        slices = tuple(Slice(pixels, name, f"2.25.{at}", 5.0 * at) for at, name in enumerate(ref.files))
        return Scan(ref, slices, "hu", Geometry("position", (0.5, 0.5), 5.0, 0.0), tuple(quality))

    def prepared(self, scan: Scan) -> Prepared:
        return prepare(scan, InputContract(height=64, width=64))

    def scored(self, ref: ScanRef, logits: Sequence[float], pictures: Sequence[int] = ()) -> Report:
        scan = self.scan(ref)
        score = score_scan(np.asarray(logits, np.float64)[:, None], self.bundle.scoring)
        heatmaps = dict.fromkeys(pictures, "drawn")
        report = scored_report(ref, scan, self.prepared(scan), score, self.bundle, heatmaps, engine=ENGINE)
        return naming(report, [picture_name(index) for index in pictures])

    def result(self, ref: ScanRef, logits: Sequence[float], heat: Mapping[int, np.ndarray | None]) -> ScanResult:
        """A scored scan as the pipeline hands it to the outputs; heat maps by slice, None for withheld ones."""
        scan = self.scan(ref)
        score = score_scan(np.asarray(logits, np.float64)[:, None], self.bundle.scoring)
        explained = tuple(ExplainedSlice(index, heatmap) for index, heatmap in sorted(heat.items()))
        heatmaps = {item.index: item.state for item in explained}
        prepared = self.prepared(scan)
        report = scored_report(ref, scan, prepared, score, self.bundle, heatmaps, engine=ENGINE)
        return ScanResult(ref, report, Scored(scan, prepared, score, explained))

    def files(self, report: Report, pictures: Mapping[str, bytes] | None = None) -> dict[str, bytes]:
        """What is written of a report whose pictures are given."""
        given = {**OUTPUTS, "pictures": Output(lambda _: pictures or {}, is_picture_name)}
        return make_files(ScanResult(self.ref(), report), DEFAULT_OUTPUTS, given)[1]

    def write(self, job: Path, report: Report, pictures: Mapping[str, bytes] | None = None) -> None:
        write_scan(job, report.scan.scan_id, self.files(report, pictures))

    def job(self, folder: Path, refs: Sequence[ScanRef], ignored: Sequence[tuple[str, str]] = ()) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        header = JobHeader(
            job=folder.name,
            created="2026-01-05T10:20:30Z",
            roots=("scans",),
            total=len(refs),
            chunk_size=32,
            bundle_name=self.bundle.name,
            bundle_version=self.bundle.version,
            bundle_digest=self.bundle.digest,
            output_root="out",
            output_path=folder.name,
        )
        (folder / layout.HEADER).write_bytes(records.dumps(header))
        write_rows(folder, refs)
        write_ignored(folder, ignored)
        return folder


@pytest.fixture(scope="session")
def workshop() -> Workshop:
    return Workshop()


@pytest.fixture(scope="session")
def forbidden_words() -> Callable[[str], list[str]]:
    """Words that would let a reader rely on a scan without a finding."""
    words = re.compile(
        r"\b(normal|safe|safely|skip|skipped|rules? out|ruled out|clear|healthy|negative)\b", re.IGNORECASE
    )
    return words.findall
