"""The words that series are chosen by, as a user meets them: why a series is taken or not, and a site's own words."""

from __future__ import annotations

from slices import head, write_series


def test_inspect_says_which_rule_fired_and_never_repeats_the_header(hemo, tmp_path):
    volume = head().hu
    write_series(tmp_path / "scans" / "plain", volume, SeriesDescription="ZZTOP^SECRET Schaedel ohne KM")
    write_series(tmp_path / "scans" / "bone", volume, SeriesDescription="ZZTOP^SECRET head", ConvolutionKernel="H70h")

    found = hemo("inspect", "scans", "--why", "--json")

    scans = {scan["path"]: scan for scan in found.json["scans"]}
    assert scans["plain"]["would"] == "score"
    assert "for it: Series Description: ohne km" in scans["plain"]["why"]
    assert scans["bone"]["code"] == "bone_kernel"
    assert scans["bone"]["why"][0].startswith("bone_kernel: Convolution Kernel:")
    assert "SECRET" not in found.out
    assert "why plain" in hemo("inspect", "scans", "--why").out.replace("  ", " ")


def test_a_site_names_its_own_words(hemo, tmp_path):
    write_series(tmp_path / "scans", head().hu, SeriesDescription="Schichtdienst Sonderprotokoll")
    (tmp_path / "site.toml").write_text('[contrast]\ngiven = ["sonderprotokoll"]\n')

    assert hemo("inspect", "scans", "--json").json["scans"][0]["would"] == "score"
    changed = hemo("inspect", "scans", "--rules", "site.toml", "--json").json["scans"][0]
    assert changed["code"] == "contrast"

    (tmp_path / "site.toml").write_text("[contrast]\ngivn = []\n")
    refused = hemo("inspect", "scans", "--rules", "site.toml")
    assert refused.code == 2
    assert "givn" in refused.err


def test_a_path_outside_the_named_roots_is_refused_before_anything_is_written(hemo, tmp_path, tiny_bundle):
    write_series(tmp_path / "elsewhere", head().hu)
    (tmp_path / "mnt").mkdir()

    refused = hemo("submit", "elsewhere", "--bundle", tiny_bundle, "--root", f"scans={tmp_path / 'mnt'}", "--json")

    assert (refused.code, refused.json["error"]["code"]) == (2, "usage")
    assert "no named root" in refused.json["error"]["message"]
    assert not (tmp_path / "reports").exists()
