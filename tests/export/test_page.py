"""The page of an export, from what ``bundle.json`` records."""

from __future__ import annotations

import json

from hemo_core.bundle import MANIFEST, released_bundle
from hemo_export.page import export_page


def test_the_page_says_what_was_asked_and_escapes_what_it_quotes():
    manifest = json.loads((released_bundle() / MANIFEST).read_bytes())
    manifest["scoring"]["findings"][0]["text"] = "mass effect"
    manifest["variants"]["int8"] |= {"released": False, "reason": "<b>slow</b>"}
    page = export_page(manifest).decode()
    assert "slices show mass effect)." in page
    assert "show hemorrhage" not in page
    assert "Not released: &lt;b&gt;slow&lt;/b&gt;" in page
    assert page.count("<tr>") > 10
    assert export_page(manifest).decode() == page
