"""read → prepare → CNN → sequence → score → explain → outputs, with the device kept fed.

Threads read and prepare ahead; slices of different scans share CNN batches of one fixed size; the sequence runs one
scan a call; threads explain, make the outputs and write behind. A bad scan costs its own row; a broken device,
installation or disk ends the run.
"""

from hemo_worker.pipeline.run import Pipeline
from hemo_worker.pipeline.work import Finished, Limits, LoadedModel, Outlet, Work

__all__ = ["Finished", "Limits", "LoadedModel", "Outlet", "Pipeline", "Work"]
