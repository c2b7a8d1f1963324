"""``python -m hemo_core.schemas``: write the schemas of the record types beside this file."""

from pathlib import Path

from hemo_core.schemas import current, dumped

for name, schema in current().items():
    Path(__file__).with_name(f"{name}.json").write_text(dumped(schema), "utf-8")
