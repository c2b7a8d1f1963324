"""What an extra is said to bring is what it brings."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from hemo_core.errors import MissingExtra
from hemo_core.extras import MODULES, need_extra

PYPROJECT = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text("utf-8"))
IMPORTED_AS = {"scikit-learn": "sklearn"}


@pytest.mark.parametrize("extra", MODULES)
def test_an_extra_brings_the_modules_that_are_asked_for(extra):
    names = [re.match(r"[\w-]+", line)[0] for line in PYPROJECT["project"]["optional-dependencies"][extra]]

    assert sorted(IMPORTED_AS.get(name, name) for name in names) == sorted(MODULES[extra])


def test_what_is_missing_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr("hemo_core.extras.find_spec", lambda name: None if name == "scipy" else object())

    with pytest.raises(MissingExtra, match="scipy not installed") as caught:
        need_extra("train")

    assert caught.value.hint == "pip install 'hemo-batch[train]'"
