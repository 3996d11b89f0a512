"""The tables of a language model's divergences: the page shows what was measured, each method has its row, and fewer errors are found where more is done against them."""
import json

import pytest

from support.places import ROOT

FOLDER = ROOT / "benchmarks"
RESULTS = json.loads((FOLDER / "results" / "divergences.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def script(scripts):
    return scripts("divergences")


def test_the_page_shows_what_was_measured(script):
    assert script.make_table(RESULTS) in (ROOT / "docs" / "compression.md").read_text(encoding="utf-8")


def test_every_method_was_measured(script):
    assert [row["method"] for row in RESULTS["rows"]] == [script.title(scheme, options) for scheme, options in script.METHODS]


def test_gptq_closes_at_least_half_of_the_divergence_of_the_nearest_integers():
    found = {row["method"]: row["divergence"] for row in RESULTS["rows"]}
    assert found["`int4`, `gptq`"] <= found["`int4`, `rtn`"] / 2


def test_identical_chances_diverge_by_nothing(script):
    rows = [{"scheme": "int4", "method": "`int4`", "divergence": 0.0, "agreement": 1.0}]
    assert "| `int4` | 0 | 100.0% |" in script.make_table({"rows": rows})
