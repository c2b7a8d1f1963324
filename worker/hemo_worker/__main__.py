"""``python -m hemo_worker``: one worker, for supervisors and containers. ``hemo-batch worker`` does the same."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hemo_core.processes import few_threads

if TYPE_CHECKING:
    from hemo_core.bundle.keys import PublicKey
    from hemo_worker.settings import WorkerSettings


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, run, and turn expected failures into their exit codes."""
    few_threads()
    from hemo_core.errors import HemoError
    from hemo_worker.startup import run_worker

    try:
        return run_worker(settings_of(arguments))
    except HemoError as problem:
        sys.stderr.write(f"hemo-worker: {problem}\n")
        return problem.exit_code


def settings_of(arguments: Sequence[str] | None = None) -> WorkerSettings:
    """Settings from a command line, the environment and ``hemo.toml``. Raises SettingsError."""
    from hemo_core.settings import Sources
    from hemo_worker.settings import worker_settings

    flags = vars(_parser().parse_args(arguments))
    flags["roots"] = dict(flags["roots"]) if flags["roots"] else None
    flags["trusted_keys"] = tuple(flags["trusted_keys"]) if flags["trusted_keys"] else None
    return worker_settings(Sources.load(), **flags)


def _root(text: str) -> tuple[str, Path]:
    name, separator, path = text.partition("=")
    if not (name and separator and path):
        raise argparse.ArgumentTypeError("name=/path")
    return name, Path(path)


def _key(text: str) -> PublicKey:
    from hemo_core.bundle.keys import parse_public_key

    try:
        return parse_public_key(text)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(str(problem)) from problem


def _parser() -> argparse.ArgumentParser:
    from hemo_core.inference.precision import WANTED

    parser = argparse.ArgumentParser(prog="python -m hemo_worker", description="Score chunks of scans from the queue.")
    parser.add_argument("--broker", help="Redis URL (HEMO_BROKER)")
    parser.add_argument("--bundle", type=Path, help="model bundle, default: the released one (HEMO_BUNDLE)")
    parser.add_argument(
        "--trusted-key", type=_key, action="append", dest="trusted_keys", help="must have signed the bundle"
    )
    parser.add_argument("--root", type=_root, action="append", dest="roots", metavar="NAME=PATH", help="a mount")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), help="cuda fails if it does not come up")
    parser.add_argument("--precision", choices=WANTED, help="of the graphs; auto says what it chose and why")
    parser.add_argument("--explainer", choices=("auto", "tf", "onnx"), help="what draws heat maps (HEMO_EXPLAINER)")
    parser.add_argument("--threads", type=int, help="threads for one CNN call on the CPU")
    parser.add_argument("--readers", type=int, help="threads that read scans ahead")
    parser.add_argument("--batch", type=int, help="slices in a CNN call")
    parser.add_argument(
        "--lease", type=float, dest="lease_s", help="seconds of silence after which a chunk is taken over"
    )
    parser.add_argument("--reconcile", type=float, dest="reconcile_s", help="seconds between looks for lost messages")
    parser.add_argument("--metrics-port", type=int, help="serve Prometheus metrics there; 0 for any free port")
    parser.add_argument("--metrics-address", help="address to serve them on")
    parser.add_argument("--ready-fd", type=int, help="file descriptor that gets one JSON line when the model is loaded")
    return parser


if __name__ == "__main__":
    sys.exit(main())
