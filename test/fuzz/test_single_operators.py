"""A case of each operator; `test/fuzz/run_operators.py` draws every version and choice of types for as long as it is told."""
import collections

import pytest

from fuzz import judges, schemas
from fuzz.defects import DEFECTS
from fuzz.draw import get_types
from fuzz.node_models import draw_node
from fuzz.run_operators import GOOD, explain, list_cases, run_cases

SEED = 1  # the same cases each time: new ones are drawn by run_operators.py


def test_every_schema_has_cases_or_a_reason():
    assert [key for key in schemas.get_schemas() if not schemas.get_reason(key) and not schemas.get_generator(key)] == []
    for domains, table in ((("", "ai.onnx.ml"), schemas.WITHOUT), (("com.microsoft",), schemas.WITHOUT_MICROSOFT)):
        listed, drawn = " ".join(table.values()).split(), set(schemas.get_generators(domains[0]))
        assert sorted(set(listed) & drawn) == [] and len(listed) == len(set(listed))
        assert sorted((set(listed) | drawn) - {name for domain, name, _ in schemas.get_schemas() if domain in domains}) == []


def test_differences_that_are_not_ours_are_few():
    assert len(DEFECTS) <= 20


def test_every_type_of_a_schema_is_in_a_binding():
    for key, (schema, _) in schemas.get_schemas().items():
        for constraint in schema.type_constraints:
            bound = {binding[constraint.type_param_str] for binding in schemas.get_bindings(key)}
            assert bound == set(get_types(constraint.allowed_type_strs)), key


def _spoil(value):
    """Returns a result with other elements of the same type."""
    if isinstance(value, list):
        return [_spoil(value[0]), *value[1:]]
    return (value + "x" if value.dtype == object else ~value if value.dtype == bool else value + value.dtype.type(9)).astype(value.dtype)


@pytest.mark.parametrize("name, version", [("Conv", 22), ("Add", 14), ("QLinearConv", 10), ("StringConcat", 20), ("Identity", 25), ("BatchNormalization", 15), ("SequenceInsert", 11)])
def test_a_wrong_result_is_seen(name, version):
    """What is expected passes; with other elements, or without the last result, it does not."""
    case = ("", name, version, 0, 1)
    drawn = draw_node(case)
    wanted, reason = judges.expect(case, drawn, judges.list_judges(case))
    assert not reason and judges.compare(case, drawn, wanted, wanted) == ""
    assert judges.compare(case, drawn, [_spoil(value) for value in wanted], wanted)
    assert judges.compare(case, drawn, wanted[:-1], wanted)


def test_blocks_become_depth_in_either_order():
    """SpaceToDepth's mode, new in version 28, was not read."""
    for seed in range(2, 8):  # both orders
        case = ("", "SpaceToDepth", 28, 0, seed)
        assert run_cases([case], turns=2)[case][:2] == ("same", "")


def _sample() -> list:
    """A case of the newest version of each operator, of another choice of types for each; older versions are drawn by run_operators.py alone."""
    newest, cases = {}, collections.defaultdict(list)
    for domain, name, version in schemas.get_schemas():
        newest[domain, name] = max(version, newest.get((domain, name), 0))
    for case in list_cases(SEED):
        if case[2] == newest[case[:2]]:
            cases[case[:3]].append(case)
    return [choices[number % len(choices)] for number, choices in enumerate(cases.values())]


def test_operators():
    results = run_cases(_sample(), turns=4)
    counts = collections.Counter(verdict for verdict, *_ in results.values())
    print(f"\n{len(results)} operators: {dict(counts)}")
    bad = [explain(case, result) for case, result in results.items() if result[0] not in GOOD]
    assert not bad, "\n".join(bad)
    assert counts["same"] > 0.9 * len(results)
