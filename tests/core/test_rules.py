"""What real descriptions and contrast fields mean: in six languages, misspelt, abbreviated, and in vendors' habits."""

from __future__ import annotations

from pathlib import Path

import pytest

from hemo_core.errors import SettingsError
from hemo_core.scans.rules.contrast import read_agent, read_description
from hemo_core.scans.rules.kernels import sharp_rule
from hemo_core.scans.rules.vocabulary import load_rules

RULES = load_rules()

PLAIN = """
CT HEAD WO CONTRAST | CT HEAD W/O IV CONTRAST | Head without IV contrast | HEAD NO CONTRAST | CT HEAD WO IVCON
HEAD WO CON | CT HEAD W/O | HEAD W/O CON | Head wo | NCCT Head C- | HEAD (-) | Head -C | HEAD_WO_CONTRAST
HeadWoContrast
HEAD W.O. CONTRAST | HEAD WITHOUT | CTA HEAD WITHOUT CONTRAST | CTA WO | NECT 3mm | HEAD, NO IV CONTRAST | NCHCT
Axial w/out contrast | HEAD WITOUT CONTRAST | no IV contrast given | WITHOUT ANY CONTRAST | before contrast
NON-CONTRAST HEAD | NONCONTRAST | Non Con Head | HEAD NONCON 5MM | Unenhanced head | non enhanced brain | PLAIN CT BRAIN
Native 5mm | PRE CONTRAST | Precontrast brain | BRAIN PRE | without contrst | HEAD WO/CONTRAST | head w o contrast
CT HEAD WITHOUT IV DYE | HEAD WO 5.0 H31s | C- 5.0 J30s
Schaedel ohne KM | Schädel nativ | Schaedel nativ 5.0 | CCT o. KM | CCT ohne i.v. KM | CCT oKM | vor KM
CCT ohne Kontrastmittel
cerveau sans injection | CRANE SANS IV | Crâne sans produit de contraste | avant injection | encéphale sans PDC
Hersenen zonder contrast | HERSENEN BLANCO | Cerebrum zonder iv contrast | voor contrast | Schedel geen contrast
CRANEO SIMPLE | CRANEO SIN CONTRASTE | TAC CRANEO S/C | cabeza sin CIV | TC cráneo basal | antes de contraste
TC CRANIO SENZA MDC | TC cranio basale | encefalo senza contrasto | cranio diretto | senza mezzo di contrasto
"""

CONTRAST = """
POST CONTRAST | C+ | Head C+ | HEAD WITH CONTRAST | HEAD W CONTRAST | Head w/ contrast | BRAIN CONTRAST | IVCON
HEAD IV CONTRAST | BRAIN POST | CECT HEAD | contrast enhanced brain | enhanced | CTA HEAD | Angio Head | ANGIO 0.6
Circle of Willis 0.75 | venous phase | ART 1.0 arterial | CTP perfusion | 4cc sec 150cc | HEAD 80 ML | OMNIPAQUE
post gad
delayed head 5mm | HEAD +C | post inj | HEAD POSTCON | HEAD W IV CONTRAST | CTV | with contarst contrast | (+) brain
Schaedel mit KM | CCT nach KM | CCT m.KM | KM 5.0 | Schaedel Kontrastmittel
crane avec injection | crane apres injection | avec IV | tardif | encephale injecte
Hersenen met contrast | na contrast
CRANEO CON CONTRASTE | TAC CRANEO C/C | craneo con civ | despues de contraste
encefalo con mdc | CRANIO CON MDC | cranio con contrasto | dopo mdc
"""

UNCLEAR = """
W WO CONTRAST | HEAD W/WO CONTRAST | WITH AND WITHOUT CONTRAST | HEAD W & W/O | pre and post contrast | mit und ohne KM
con y sin contraste | +/- contrast | C+/- | HEAD W AND WO CON | sans et avec injection
"""

SILENT = """
HEAD 5.0 H31s | Brain 5mm | Posterior fossa | POST FOSSA 2.5 | Post op head | NON HELICAL HEAD | NO ANGLE | Axial
HEAD 3D
Basal ganglia | Head trauma | Stroke 5.0 | CEREBRUM 5.0 | C-SPINE | Kopf | crane | ST HEAD | Brain Std | head con't
"""


def texts(block: str) -> list[str]:
    return [text.strip() for text in block.replace("\n", "|").split("|") if text.strip()]


CASES = [
    (text, meaning)
    for meaning, block in (("plain", PLAIN), ("contrast", CONTRAST), ("unclear", UNCLEAR), ("silent", SILENT))
    for text in texts(block)
]


def test_at_least_150_real_descriptions_are_held_against_what_they_mean():
    read = {text: read_description(text, RULES).meaning for text, _ in CASES}

    assert len(CASES) >= 150
    assert {text: read[text] for text, meaning in CASES if read[text] != meaning} == {}


@pytest.mark.parametrize(
    "text",
    [
        "",
        *texts(
            "NO CONTRAST | NONE GIVEN | N/A | W/O | NON CONTRAST | Without contrast | UNENHANCED | None | 0 | - | NA"
        ),
        *texts(
            "no iv contrast | OHNE KM | keine | sans injection | zonder contrast | sin contraste | ORAL | not given"
        ),
    ],
)
def test_an_agent_field_that_says_none_is_no_contrast(text):
    assert read_agent(text, RULES).meaning in {"plain", "silent"}


@pytest.mark.parametrize(
    "text",
    [
        "IOHEXOL",
        "OMNIPAQUE 350",
        "YES",
        "APPLIED",
        "CONTRAST",
        "Ultravist 370",
        "100 ML ISOVUE",
        "IV",
        "4cc sec 150cc",
        "Iomeron 300",
    ],
)
def test_an_agent_field_that_names_anything_else_is_contrast(text):
    assert read_agent(text, RULES).meaning == "contrast"


def test_a_rule_that_fired_never_repeats_the_text():
    for text, _ in CASES:
        said = read_description(f"ZZTOP^SECRETNAME {text}", RULES)
        assert "zztop" not in said.rule.casefold()
        assert "secretname" not in said.rule.casefold()


@pytest.mark.parametrize(
    ("kernel", "sharp"),
    [
        *((name, False) for name in ("H30s", "Br38", "FC21", "STANDARD", "SOFT", "UB", "")),
        *((name, True) for name in ("H60s", "Hr64", "FC30", "BONEPLUS", "YC", "LUNG", "J70h\\2")),
    ],
)
def test_kernels_for_bone_and_lung_are_known(kernel, sharp):
    assert bool(sharp_rule(kernel, RULES)) is sharp


def test_a_site_adds_words_and_takes_some_away(tmp_path: Path):
    site = tmp_path / "site.toml"
    site.write_text(
        'schema_version = 1\n[contrast]\nplain = ["schädelbasis eins", "!simple"]\n[kernel]\nsharp = ["knackig"]\n'
    )
    rules = load_rules(site)

    assert read_description("SCHADELBASIS  eins 5.0", rules).meaning == "plain"
    assert read_description("CRANEO SIMPLE", rules).meaning == "silent"
    assert sharp_rule("Knackig", rules) == "knackig"
    assert read_description("CRANEO SIMPLE", RULES).meaning == "plain"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[contrst]\nplain = []", r"no \[contrst\].*contrast"),
        ("[contrast]\nplane = ['x']", "no plane in .contrast."),
        ("[contrast]\nplain = 'x'", "list of str"),
        ("[contrast]\nplain = [1]", "list of str"),
        ("[contrast]\nplain = ['!nowhere']", "nowhere, which is not there"),
        ("[kernel]\nsiemens_from = 'high'", "to be a int"),
        ("schema_version = 9", "schema version 1"),
        ("[", "no TOML"),
    ],
)
def test_a_site_file_that_would_go_unheard_is_refused(tmp_path: Path, text, message):
    site = tmp_path / "site.toml"
    site.write_text(text)
    with pytest.raises(SettingsError, match=message):
        load_rules(site)


def test_a_site_file_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(SettingsError, match="cannot be read"):
        load_rules(tmp_path / "absent.toml")
