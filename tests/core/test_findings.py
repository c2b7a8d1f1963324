"""What a finding may be called, and what a label comes to whatever it is called."""

from __future__ import annotations

import tomllib
from importlib import resources

import pytest

from hemo_core.bundle.findings import default_name, named, standing, urgency
from hemo_core.wording import label_text, label_texts


def test_every_name_with_words_of_its_own_is_a_finding():
    known = tomllib.loads(resources.files("hemo_core.bundle").joinpath("findings.toml").read_text("utf-8"))
    for name, words in known.items():
        finding = named(name, "detail")
        assert (finding.text, finding.snomed_code) == (words["text"], words.get("snomed_code"))
    assert named(default_name(), "primary").snomed_code == "1386000"


def test_a_name_that_nobody_knows_is_its_own_text():
    finding = named("mass_effect", "primary")
    assert (finding.text, finding.snomed_code) == ("mass effect", None)


@pytest.mark.parametrize(
    "name", ["review", "no_finding", "", "Bleed", "mass effect", "a-b", "1st", "x" * 65, "bleed\n"]
)
def test_what_no_label_can_be_is_no_name(name):
    with pytest.raises(ValueError, match="a finding cannot be called"):
        named(name, "primary")


def test_labels_rank_by_what_they_come_to():
    assert [standing(label) for label in ("no_finding", "review", "mass_effect")] == [
        "no_finding",
        "review",
        "positive",
    ]
    ranked = sorted(["review", "mass_effect", None, "no_finding"], key=urgency)
    assert ranked == [None, "no_finding", "review", "mass_effect"]


def test_a_label_is_told_in_the_findings_own_words():
    assert label_text("mass_effect", "a mass effect") == "a mass effect suspected by the model"
    assert label_text("mass_effect") == "mass effect suspected by the model"
    assert list(label_texts(("bleed", "intracranial bleed"))) == ["bleed", "review", "no_finding"]
    assert list(label_texts(None)) == ["review", "no_finding"]
