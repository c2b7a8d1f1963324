"""The published JSON Schemas (draft 2020-12). Those of the newest version are made of the record types.

``python -m hemo_core.schemas`` writes them; a test proves that they are current.
"""

from __future__ import annotations

import json
import re
from importlib import resources
from typing import Any, cast

_ATTRIBUTE = re.compile(r"^ {8}([a-z_, ]+): (.+(?:\n {12}.+)*)", re.MULTILINE)


def published(name: str) -> dict[str, Any]:
    """A schema as it was published: ``report-1``, ``report-2``."""
    text = resources.files("hemo_core.schemas").joinpath(f"{name}.json").read_text("utf-8")
    return cast("dict[str, Any]", json.loads(text))


def current() -> dict[str, dict[str, Any]]:
    """The schemas of the record types as they are, by name."""
    from hemo_core.report import SCHEMA_VERSION, SCORED_ONLY, Report

    name = f"report-{SCHEMA_VERSION}"
    return {name: {"$id": f"urn:hemo-batch:schema:{name}", **_schema_of(Report), **_only_scored(SCORED_ONLY)}}


def dumped(schema: dict[str, Any]) -> str:
    """A schema's file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _schema_of(record: type) -> dict[str, Any]:
    """Every field is always written, so that each is required; more of them do not make a record invalid."""
    import msgspec

    (reference,), parts = msgspec.json.schema_components([record], ref_template="#/$defs/{name}")
    for part in parts.values():
        _describe(part)
    whole = parts.pop(reference["$ref"].rpartition("/")[2])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **whole, "$defs": parts}


def _describe(part: dict[str, Any]) -> None:
    """Give each property its line of the docstring, and require all of them."""
    text, _, attributes = part.get("description", "").partition("\n\n    Attributes:\n")
    part["description"] = text
    told = {
        name.strip(): " ".join(line.split()).replace("None", "null").replace("``", "`")
        for names, line in _ATTRIBUTE.findall(attributes)
        for name in names.split(",")
    }
    for name, entry in part["properties"].items():
        entry.pop("default", None)
        if name in told:
            entry["description"] = told[name]
    part["required"] = list(part["properties"])


def _only_scored(names: tuple[str, ...]) -> dict[str, Any]:
    """The fields that hold something if, and only if, the scan was scored."""
    null, lists = {"type": "null"}, ("findings", "slices")
    scored = {name: {"not": null} for name in names} | {key: {"minItems": 1} for key in lists}
    unscored = dict.fromkeys(names, null) | {key: {"maxItems": 0} for key in lists}
    return {
        "if": {"properties": {"outcome": {"const": "scored"}}},
        "then": {"properties": scored | {"error": null}},
        "else": {"properties": unscored | {"error": {"not": null}}},
    }
