"""What is done to one scan in threads: read and prepare before the model, explain and report after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hemo_core.errors import HemoError, Poison, ScanError
from hemo_core.inference.scoring import ScanScore
from hemo_core.jobs import JobOptions
from hemo_core.report import EngineFacts, Report, failed_report, rejected_report, scored_report
from hemo_core.scans.preprocess import prepare
from hemo_core.scans.scan import Scan
from hemo_worker.outputs.output import ExplainedSlice, ScanResult, Scored
from hemo_worker.outputs.registry import make_files
from hemo_worker.pipeline.blame import unforeseen
from hemo_worker.pipeline.explain import explain, explained_slices, withheld
from hemo_worker.pipeline.flight import Flight
from hemo_worker.pipeline.work import Finished, LoadedModel

if TYPE_CHECKING:
    from hemo_worker.metrics import Meter


class Stages:
    """The steps of one scan, for one job; model, mounts, meter and opener are those of its ``Pipeline``."""

    def __init__(
        self,
        model: LoadedModel,
        mounts: Mapping[str, Path],
        meter: Meter,
        opener: Callable[..., Scan],
        options: JobOptions,
    ) -> None:
        self._model = model
        self._mounts = mounts
        self._meter = meter
        self._opener = opener
        self._options = options

    def read(self, flight: Flight) -> None:
        """Decode and prepare one scan. Raises ScanError; any other failure but ours becomes one."""
        ref = flight.work.ref
        try:
            with self._meter.timed("read", flight.timings):
                implausible = self._options.allow_implausible
                scan = self._opener(ref, self._mounts[ref.root], allow_implausible=implausible)
            with self._meter.timed("preprocess", flight.timings):
                flight.decoded = scan, prepare(scan, self._model.bundle.input)
        except HemoError:
            raise
        except Exception as problem:
            raise unforeseen(ref, "reading", problem) from problem

    def unread(self, flight: Flight) -> Finished:
        """The end of a row that is not to be read."""
        if flight.work.poison:
            self._meter.poison.inc()
            return self.failed(flight, Poison("scoring it killed the process twice, alone", hint="inspect the file"))
        return self._unscored(flight, rejected_report(flight.work.ref, self._model.bundle))

    def failed(self, flight: Flight, problem: ScanError) -> Finished:
        """The end of a scan that cannot be scored."""
        return self._unscored(flight, failed_report(flight.work.ref, problem, self._model.bundle))

    def scored(self, flight: Flight, score: ScanScore) -> Finished:
        """Explain a scan and make its outputs."""
        try:
            explained = self._explain(flight, score)
            report, files = self._outputs(flight, score, explained)
        except ScanError as problem:
            return self.failed(flight, problem)
        except HemoError:
            raise
        except Exception as problem:  # noqa: BLE001  (it costs this scan's row and is logged)
            return self.failed(flight, unforeseen(flight.work.ref, "explaining", problem))
        self._meter.score.observe(score.probability)
        return Finished(flight.work, report, files, flight.slices, flight.timings)

    def _explain(self, flight: Flight, score: ScanScore) -> tuple[ExplainedSlice, ...]:
        chosen = explained_slices(score, self._model.bundle.scoring.threshold, self._options)
        if not chosen or withheld(self._model, self._options):
            return tuple(ExplainedSlice(index, None) for index in chosen)
        with self._meter.timed("gradcam", flight.timings):
            return explain(self._model, np.concatenate(flight.features), chosen)

    def _outputs(
        self, flight: Flight, score: ScanScore, explained: tuple[ExplainedSlice, ...]
    ) -> tuple[Report, dict[str, bytes]]:
        ref, engine = flight.work.ref, self._model.engine
        scan, prepared = flight.result()
        drawn = any(item.heatmap is not None for item in explained)
        facts = EngineFacts(engine.provider, engine.precision, self._model.explainer().kind if drawn else None)
        heatmaps = {item.index: item.state for item in explained}
        with self._meter.timed("outputs", flight.timings):
            report = scored_report(ref, scan, prepared, score, self._model.bundle, heatmaps, engine=facts)
            result = ScanResult(ref, report, Scored(scan, prepared, score, explained))
            return make_files(result, self._options.outputs)

    def _unscored(self, flight: Flight, report: Report) -> Finished:
        report, files = make_files(ScanResult(flight.work.ref, report), self._options.outputs)
        return Finished(flight.work, report, files, 0, flight.timings)
