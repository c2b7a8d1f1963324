"""Shows again where a graph's metadata is not the run's contract."""

from __future__ import annotations

import sys

from hemo_export.gates.contract import differences
from hemo_export.gates.failure_folder import failure_files
from hemo_export.metadata import read_metadata


def main() -> int:
    """1 if the failure is still there."""
    kept = failure_files(__file__)
    found = [
        f"{name}: {line}"
        for name, expected in kept.facts["expected"].items()
        for line in differences(read_metadata(kept.folder / name), expected)
    ]
    sys.stdout.write(("\n".join(found) or "the metadata is as it should be") + "\n")
    return int(bool(found))


if __name__ == "__main__":
    raise SystemExit(main())
