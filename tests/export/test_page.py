"""The page of an export, from what ``bundle.json`` records."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

from hemo_core.bundle import open_bundle, released_bundle
from hemo_core.bundle.manifest import read_manifest
from hemo_export.page import export_page


def test_the_page_says_what_was_asked_and_escapes_what_it_quotes():
    released = open_bundle(released_bundle())
    content = deepcopy(dict(released.content))
    content["scoring"]["findings"][0]["text"] = "mass effect"
    content["variants"]["int8"] |= {"released": False, "reason": "<b>slow</b>"}
    bundle = replace(released, content=content, manifest=read_manifest(content, "planted"))
    page = export_page(bundle).decode()
    assert "slices show mass effect)." in page
    assert "show hemorrhage" not in page
    assert "Not released: &lt;b&gt;slow&lt;/b&gt;" in page
    assert page.count("<tr>") > 10
    assert export_page(bundle).decode() == page
