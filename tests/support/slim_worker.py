"""A real worker on an installation that, as far as Python can tell, has no TensorFlow and no Keras."""

from __future__ import annotations

import sys

from hemo_cli.main import run

for name in ("tensorflow", "keras"):
    sys.modules[name] = None  # type: ignore[assignment]  # importing it raises ModuleNotFoundError, finding it finds none

if __name__ == "__main__":
    sys.exit(run(["worker", *sys.argv[1:]]))
