"""The precisions of a bundle, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hemo_core.bundle import Bundle


def variant_rows(bundle: Bundle) -> dict[str, str]:
    """A line for each precision that the bundle holds or tells about. Raises BundleSchema."""
    from hemo_core.inference.precision import variants

    rows: dict[str, str] = {}
    for name, entry in variants(bundle).items():
        held = bundle.manifest["files"].get(entry.cnn)
        if held is None or not entry.released:
            rows[name] = f"not released: {entry.reason or 'no reason given'}"
            continue
        rows[name] = ", ".join(["released", f"CNN {held['bytes'] / 1e6:.1f} MB", *_figures(entry.benchmark)])
    return rows


def _figures(benchmark: Mapping[str, Any]) -> list[str]:
    """Speed and memory, as far as they were measured."""
    if not benchmark:
        return []
    times = {int(batch): spent for batch, spent in benchmark["ms_per_slice"].items()}
    told = " / ".join(f"{times[batch]:.2f}" for batch in sorted(times))
    batches = "/".join(str(batch) for batch in sorted(times))
    return [f"{told} ms a slice at batch {batches}", f"{benchmark['peak_mebibytes']} MiB"]
