"""A case of each operator's newest version and choice of types; `test/fuzz/run_operators.py` draws every version for as long as it is told."""
import collections

from fuzz import schemas
from fuzz.run_operators import explain, list_cases, run_cases

SEED = 1  # the same cases each time: new ones are drawn by run_operators.py


def test_every_schema_has_cases_or_a_reason():
    assert [key for key in schemas.get_schemas() if key[1] not in schemas.GENERATORS and not schemas.get_reason(key)] == []
    listed = " ".join(schemas.WITHOUT.values()).split()
    assert sorted(set(listed) & set(schemas.GENERATORS)) == [] and len(listed) == len(set(listed))
    assert sorted((set(listed) | set(schemas.GENERATORS)) - {name for _, name, _ in schemas.get_schemas()}) == []


def test_every_type_of_a_schema_is_in_a_binding():
    for key, (schema, _) in schemas.get_schemas().items():
        for constraint in schema.type_constraints:
            bound = {binding.get(constraint.type_param_str) for binding in schemas.get_bindings(key)}
            assert {text for text in constraint.allowed_type_strs if text.startswith("tensor(")} <= {f"tensor({element})" for element in bound if element}, key


def test_newest_operators():
    results = run_cases(list_cases(SEED, newest=True))
    counts = collections.Counter(verdict for verdict, _ in results.values())
    print(f"\n{len(results)} operators: {dict(counts)}")
    bad = [explain(case, result) for case, result in results.items() if result[0] not in ("same", "unknown")]
    assert not bad, "\n".join(bad)
    assert counts["same"] > 0.9 * len(results)
