"""A real worker on an installation whose TensorFlow and Keras are there, and cannot be loaded."""

from __future__ import annotations

import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec

from hemo_cli.main import run

CAUSE = "libtensorflow_cc.so.2: cannot open shared object file"


class Torn(MetaPathFinder, Loader):
    """Finds both, and fails as a shared library does that is not there."""

    def find_spec(self, name, *_):
        return ModuleSpec(name, self) if name in {"tensorflow", "keras"} else None

    def exec_module(self, _):
        raise OSError(CAUSE)


if __name__ == "__main__":
    sys.meta_path.insert(0, Torn())
    sys.exit(run(["worker", *sys.argv[1:]]))
