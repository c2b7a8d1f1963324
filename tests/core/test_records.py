from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from hemo_core import records
from hemo_core.errors import JobError


@dataclass(frozen=True, slots=True)
class Dose:
    mgy: float | None = None
    protocol: Literal["head", "neck"] = "head"


@dataclass(frozen=True, slots=True)
class Visit:
    patient: int
    files: tuple[str, ...]
    folder: Path = Path()
    dose: Dose = field(default_factory=Dose)
    notes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.patient < 0:
            raise JobError("nobody has this number")


VISIT = Visit(7, ("a.dcm", "b\udcff.dcm"), Path("/scans"), Dose(2.5, "neck"), {"a": "b"})


def test_a_record_comes_back_as_it_went() -> None:
    assert records.load(Visit, records.dumps(VISIT), error=JobError) == VISIT


def test_the_text_of_a_record_is_canonical() -> None:
    assert records.dumps(Dose(1.5)) == b'{\n  "mgy": 1.5,\n  "protocol": "head"\n}\n'


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dose": {"mgy": "high"}}, "malformed visit: expected `float | null`, got `str` - at `$.dose.mgy`"),
        ({"dose": {"protocol": "foot"}}, "malformed visit: invalid enum value 'foot' - at `$.dose.protocol`"),
        ({"patient": "7"}, "malformed visit: expected `int`, got `str` - at `$.patient`"),
        ({"patient": True}, "malformed visit: expected `int`, got `bool` - at `$.patient`"),
        ({"files": ["a", 3]}, "malformed visit: expected `str`, got `int` - at `$.files[1]`"),
        ({"folder": 3}, "malformed visit: expected `Path`, got `int` - at `$.folder`"),
        ({"patient": -1}, "nobody has this number"),
    ],
)
def test_a_wrong_value_is_refused_by_the_fields_name(change: dict[str, object], message: str) -> None:
    with pytest.raises(JobError) as caught:
        records.decode(Visit, records.encode(VISIT) | change, error=JobError, what="visit", path="x.json")
    assert caught.value.message == message


def test_a_missing_field_is_named_and_so_is_the_file() -> None:
    with pytest.raises(JobError, match=r"^x\.json: malformed visit: object missing required field `files`$"):
        records.decode(Visit, {"patient": 1}, error=JobError, what="visit", path=Path("x.json"))


def test_a_field_of_a_newer_version_is_ignored_and_a_whole_number_is_a_float() -> None:
    assert records.decode(Dose, {"mgy": 2, "kvp": 120}, error=JobError) == Dose(2.0)


@pytest.mark.parametrize("text", ["{", "[1", "NaN", "[Infinity]", b"\xff\xfe\x00", "[" * 100_000])
def test_what_is_no_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(JobError, match="malformed visit: "):
        records.loads(text, error=JobError, what="visit")


@pytest.mark.parametrize(
    "value", [{}, [], None, {"schema_version": 3}, {"schema_version": "1"}, {"schema_version": True}]
)
def test_a_foreign_version_is_refused(value: object) -> None:
    with pytest.raises(JobError, match=r"this visit is of version .*, not 1 or 2 \(update hemo-batch"):
        records.check_version(value, (1, 2), error=JobError, what="visit")


def test_a_readable_version_is_told() -> None:
    assert records.check_version({"schema_version": 2}, (1, 2), error=JobError) == 2


def test_a_number_that_is_not_finite_is_never_written() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        records.dumps(Dose(float("nan")))
