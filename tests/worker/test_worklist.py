from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from browsing import opened
from findings import three_findings

from hemo_core.errors import DecodeFailed
from hemo_core.inference.scoring import score_scan
from hemo_core.report import failed_report, rejected_report, scored_report
from hemo_core.scans.scan import Cause
from hemo_core.wording import STATEMENT
from hemo_worker.outputs.scan_page import scan_page
from hemo_worker.outputs.summary import summarise

HOSTILE = (
    "<img src=x onerror=\"document.title='owned'\">",
    "</script><script>document.title='owned'</script>",
    "<!--<script>\" ' ` & $job ${1} {{7*7}}",
    "javascript:document.title='owned'",
    "\udcff\u202egnp.\u2028dcm",
    "]]><svg onload=document.title='owned'>",
)


class _Page(HTMLParser):
    """What a page would load, link and say."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[str] = []
        self.handlers: list[str] = []
        self.words: list[str] = []
        self._hidden = ""
        self.blocks: dict[str, str] = {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in {"href", "src"}]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        self.words += [value or "" for name, value in attrs if name in {"title", "alt", "aria-label", "placeholder"}]
        self._hidden = tag if tag in {"script", "style"} else self._hidden

    def handle_endtag(self, tag):
        self._hidden = "" if tag == self._hidden else self._hidden

    def handle_data(self, data):
        if self._hidden:
            self.blocks.setdefault(self._hidden, data)
        else:
            self.words.append(data)


@pytest.fixture
def job(tmp_path, workshop):
    """Hostile names in every section of the page."""
    refs = [workshop.ref(number, name) for number, name in enumerate(HOSTILE)]
    broken = workshop.ref(20, HOSTILE[0] + "/broken")
    scout = workshop.ref(21, HOSTILE[1] + "/scout", rejection=Cause("localizer", HOSTILE[0]))
    late = workshop.ref(22, HOSTILE[2] + "/late")
    folder = workshop.job(tmp_path / "job", [*refs, broken, scout, late], [(HOSTILE[1], HOSTILE[0])])
    for number, ref in enumerate(refs):
        report = workshop.scored(ref, [-3, number - 2, number - 2, -3], [1] if number > 3 else [])
        workshop.write(folder, report, {"slice-002.png": b"png"} if number > 3 else {})
    workshop.write(folder, failed_report(broken, DecodeFailed(HOSTILE[0], hint=HOSTILE[1]), workshop.bundle), {})
    workshop.write(folder, rejected_report(scout, workshop.bundle), {})
    summarise(folder)
    return folder


def pages(job: Path) -> list[Path]:
    return [job / "index.html", *sorted(job.glob("scans/*/index.html"))]


def test_pages_are_self_contained_and_link_only_inside_the_job(job):
    for path in pages(job):
        page = _Page(path.read_text("utf-8"))
        assert not page.handlers
        for link in page.links:
            assert re.match(r"[a-z]+:|//|/", link) is None, link
            target = link.partition("#")[0]
            assert not target or (path.parent / target).resolve().is_relative_to(job.resolve())
            assert not target or (path.parent / target).is_file(), link


def test_names_from_outside_never_become_markup(job):
    page = _Page((job / "index.html").read_text("utf-8"))
    assert page.tags.count("script") == 2
    assert "img" not in page.tags
    assert "svg" not in page.tags
    data = json.loads(page.blocks["script"])
    assert {row["path"] for row in data["rows"]} >= {HOSTILE[0], HOSTILE[1], HOSTILE[3]}
    assert "<" not in page.blocks["script"]
    for path in pages(job)[1:]:
        assert _Page(path.read_text("utf-8")).tags.count("script") == 0


def test_the_page_carries_the_jobs_facts(job, workshop):
    text = (job / "index.html").read_text("utf-8")
    page = _Page(text)
    words = " ".join(" ".join(page.words).split())
    assert STATEMENT in words
    for fact in (
        "hemo-test 1.2.3",
        "abababababababab…",
        "0.400",
        "CPUExecutionProvider, fp32",
        "2026-01-05 10:20:30 UTC",
    ):
        assert fact in words
    for title in ("Failed 1", "Rejected 1", "Cancelled 1", "Files ignored 1"):
        assert title in words
    assert workshop.bundle.digest in text
    assert page.words.count("Phantom") == 1


def test_the_worklist_begins_with_what_is_suspected(job):
    rows = json.loads(_Page((job / "index.html").read_text("utf-8")).blocks["script"])["rows"]
    labels = [row["label"] for row in rows]
    assert labels == sorted(labels, key=["hemorrhage", "review", "no_finding"].index)
    for label in set(labels):
        scores = [row["score"] for row in rows if row["label"] == label]
        assert scores == sorted(scores, reverse=True)


def test_no_word_lets_a_reader_rely_on_the_model(job, workshop, forbidden_words):
    ref = workshop.ref(0)
    quiet = scan_page(workshop.scored(ref, [-3, -3, -3, -3])).decode()
    for text in (quiet, *(path.read_text("utf-8") for path in pages(job))):
        words = _Page(text).words
        assert not forbidden_words(" ".join(words))
    assert "no finding by the model" in quiet


def test_a_scan_page_shows_each_slice(workshop):
    report = workshop.scored(workshop.ref(0), [-3, 2, 3, -3], [2, 1])
    text = scan_page(report).decode()
    assert text.index('id="slice-2"') < text.index('id="slice-3"')
    assert text.count("<rect") == 4
    assert text.count('class="bar above"') == 2
    assert "2.25.3" in text
    assert scan_page(report).decode() == text


@pytest.fixture
def several(tmp_path, workshop):
    """A job of one scan, by a model that names three findings."""
    ref = workshop.ref(0)
    scan, bundle = workshop.scan(ref), replace(workshop.bundle, scoring=three_findings())
    score = score_scan([[2.0, 3.0, -2.0]] * 4, bundle.scoring)
    report = scored_report(ref, scan, workshop.prepared(scan), score, bundle, engine=workshop.engine)
    folder = workshop.job(tmp_path / "job", [ref])
    workshop.write(folder, report)
    summarise(folder)
    return folder


def test_details_stand_beside_the_finding_that_decides(several):
    scan = next(several.glob("scans/*/index.html")).read_text("utf-8")
    names = re.findall(r'<th scope="row">([a-z][^<]*)</th><td>(<b>)?0', scan)
    assert names == [("intracranial bleed", "<b>"), ("a bleed on the left", "<b>"), ("mass effect", "")]
    assert "1386000" in scan
    row = json.loads(_Page((several / "index.html").read_text("utf-8")).blocks["script"])["rows"][0]
    assert (row["label"], row["details"]) == ("bleed", ["a bleed on the left"])


@pytest.mark.slow
def test_a_real_browser_shows_details(browser, several):
    assert "intracranial bleed suspected by the model</span><small>a bleed on the left</small>" in opened(
        browser, several / "index.html"
    )


@pytest.mark.slow
def test_a_real_browser_renders_hostile_names_as_text(browser, job):
    document = opened(browser, job / "index.html")
    title = re.search(r"<title>(.*?)</title>", document)
    assert title is not None
    assert title.group(1) == "Worklist job"
    table = document[document.index("<tbody>") : document.index("</tbody>")]
    shown = [html.unescape(cell) for cell in re.findall(r'<th scope="row".*?<a [^>]*>(.*?)</a>', table, re.DOTALL)]
    assert len(shown) == len(HOSTILE)
    assert set(shown) >= {HOSTILE[0], HOSTILE[1], HOSTILE[3], HOSTILE[5]}
    assert table.count("<tr>") == len(HOSTILE)
    parsed = _Page(table)
    assert not parsed.handlers
    assert parsed.tags.count("img") == sum(1 for _ in job.glob("scans/*/slice-*.png"))
    assert not {"script", "iframe", "object"} & set(parsed.tags)
    assert f"{len(HOSTILE)} of {len(HOSTILE)} scans" in document


@pytest.mark.slow
def test_a_real_browser_opens_a_scan_page(browser, job):
    page = pages(job)[1]
    title = re.search(r"<title>(.*?)</title>", opened(browser, page))
    assert title is not None
    assert title.group(1) == f"Scan {page.parent.name}"
