"""The table of quantisers: the page shows what was measured, and int8 is never slower than f32."""
import json

import pytest

from support.places import ROOT

FOLDER = ROOT / "benchmarks"
RESULTS = json.loads((FOLDER / "results" / "quantizers.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def table(scripts):
    return scripts("quantizers_table")


def test_the_page_shows_what_was_measured(table):
    assert table.make_table(RESULTS) in (ROOT / "docs" / "compression.md").read_text(encoding="utf-8")


def test_failures_and_missing_quantisers_are_said(table):
    cases = {"a": {"onager": {"mean_sqnr": 20.04, "top1": None}, "onnxruntime": {"error": "no"}}}
    assert "| a | 20.0 | fails | – | – | – | – |" in table.make_table({"cases": cases})


def test_models_of_int8_are_no_slower():
    for name, entries in RESULTS["cases"].items():
        seconds = entries["onager-default"]["seconds"]
        assert seconds["compressed"] <= 1.02 * seconds["plain"], name
