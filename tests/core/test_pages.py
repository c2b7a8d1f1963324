from __future__ import annotations

import base64
import hashlib
import re
import sys

import pytest

from hemo_core.pages import render

HOSTILE = "</script>\u202e\udcff\n<b> {{7*7}} '\""


@pytest.fixture
def package(tmp_path, monkeypatch) -> str:
    """A package with templates."""
    templates = tmp_path / "paged" / "templates"
    templates.mkdir(parents=True)
    (tmp_path / "paged" / "__init__.py").touch()
    (templates / "look.css").write_text("p { color: red; }")
    (templates / "say.js").write_text('console.log("<b>" && `${{ }}`);\n')
    (templates / "page.html").write_text(
        """{% extends "base.html" %}
{% set script = source("say.js") %}
{% block policy %}script-src '{{ script | csp_digest }}'; {% endblock %}
{% block title %}{{ name }}{% endblock %}
{% block style %}{{ source("look.css") }}{% endblock %}
{% block body %}
<p title="{{ name }}">{{ name }}</p>
<script type="application/json">{{ {"names": [name]} | tojson }}</script>
<script>{{ script }}</script>
{% endblock %}"""
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "paged"
    sys.modules.pop("paged", None)


def test_what_comes_from_outside_stays_text(package):
    page = render(package, "page.html", name=HOSTILE).decode()

    shown = r"&lt;/script&gt;\u202e\xff\n&lt;b&gt; {{7*7}} &#39;&#34;"
    assert f"<title>{shown}</title>" in page
    assert f'<p title="{shown}">{shown}</p>' in page
    block = page[page.index('json">') + 6 :].partition("</script>")[0]
    assert not set("<>&'\u202e\udcff") & set(block)
    assert r"\\u202e\\xff\\n" in block


def test_a_page_carries_its_style_and_allows_its_own_script_only(package):
    page = render(package, "page.html", name="x").decode()

    script = page.rpartition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert script == 'console.log("<b>" && `${{ }}`);\n'
    assert re.search(r"default-src 'none'; script-src '(.*?)';", page).group(1) == f"sha256-{digest}"
    assert "p { color: red; }</style>" in page
    assert "--ground" in page
    assert render(package, "page.html", name="x").decode() == page


def test_a_forgotten_value_is_an_error_and_not_a_gap(package):
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError, match="name"):
        render(package, "page.html")
