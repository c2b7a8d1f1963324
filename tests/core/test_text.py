"""Strings on their way to people, and the order of names."""

from hemo_core.text import natural_key


def test_natural_order_puts_ten_after_nine():
    assert sorted(["a10", "a9", "A1", "a09", "b"], key=natural_key) == ["A1", "a09", "a9", "a10", "b"]


def test_natural_order_knows_zeros_case_and_digits_of_other_scripts():
    names = ["slice 10", "Slice 010", "slice 9", "slice \u0663", "slice \u00b2", "slice 1\u00b2"]
    ordered = ["slice 1\u00b2", "slice \u0663", "slice 9", "Slice 010", "slice 10", "slice \u00b2"]
    assert sorted(names, key=natural_key) == ordered
