"""Every schema of ONNX, and of com.microsoft's operators that ONNX Runtime has on the CPU, with the element types that it allows and its generator.

A case is (domain, operator, version, binding, seed): the binding numbers a choice of types. Tables of generators are in schemas_*.py, what two
implementations disagree about in defects.py.
"""
import dataclasses
import functools
import importlib

import onnx

from fuzz.draw import UNSUPPORTED, get_types

DOMAINS = ("", "ai.onnx.ml", "com.microsoft")
FAMILIES = "arrangement attention convolutions elementwise ml normalisations quantised recurrent reductions sequences signals strings trees vision".split()
MICROSOFT = "microsoft microsoft_attention microsoft_packed microsoft_quantised microsoft_searches".split()

# Operators without a generator, by what keeps one node from being a case.
WITHOUT = {}
WITHOUT_MICROSOFT = {}

# What a schema allows and no text gives a meaning to: by operator and element type, why.
UNDEFINED = {("CenterCropPad", "string"): "zeros pad the data, and no text is zero: the reference writes \"0\"",
             ("Col2Im", "string"): "blocks that overlap are added",
             ("MurmurHash3", "string"): "Onager hashes numbers alone",
             ("Trilu", "string"): "zeros take the place of the data, likewise"}


@functools.cache
def get_generators(domain: str) -> dict:
    """Returns {operator: generator} of a domain: com.microsoft's operators may have names of ONNX's."""
    names = MICROSOFT if domain == "com.microsoft" else FAMILIES
    found = {}
    for name in names:
        table = importlib.import_module(f"fuzz.schemas_{name}").GENERATORS
        assert not found.keys() & table.keys(), f"schemas_{name} repeats {found.keys() & table.keys()}"
        found |= table
    return found


@dataclasses.dataclass
class Parameter:
    type_str: str


@dataclasses.dataclass
class Constraint:
    type_param_str: str
    allowed_type_strs: list


@dataclasses.dataclass
class Contributed:
    """A schema of com.microsoft as ONNX's class shows those of ONNX; its constraints are those of the kernels, which may have fewer types."""
    name: str
    inputs: list
    outputs: list
    attributes: set
    type_constraints: list
    domain: str = "com.microsoft"
    since_version: int = 1
    deprecated: bool = False


@functools.cache
def get_contributed() -> list:
    from onnxruntime.capi.onnxruntime_pybind11_state import get_all_operator_schema, get_all_opkernel_def

    kernels = {}
    for kernel in get_all_opkernel_def():
        if kernel.domain == "com.microsoft" and kernel.provider == "CPUExecutionProvider":
            for label, allowed in kernel.type_constraints.items():
                kernels.setdefault(kernel.op_name, {}).setdefault(label, set()).update(allowed)
            kernels.setdefault(kernel.op_name, {})
    found = []
    for schema in get_all_operator_schema():
        if schema.domain != "com.microsoft" or schema.name not in kernels:
            continue
        constraints = [Constraint(one.type_param_str, sorted(kernels[schema.name].get(one.type_param_str) or one.allowed_type_strs)) for one in schema.type_constraints]
        places = [[Parameter(one.typeStr) for one in values] for values in (schema.inputs, schema.outputs)]
        found.append(Contributed(schema.name, *places, set(schema.attributes), constraints))
    return found


@functools.cache
def get_schemas() -> dict:
    """Returns {(domain, operator, version): (schema, the last operator set that has it)} without what is deprecated."""
    found = [schema for schema in onnx.defs.get_all_schemas_with_history() if schema.domain in DOMAINS] + get_contributed()
    newest = {domain: max(schema.since_version for schema in found if schema.domain == domain) for domain in DOMAINS}
    versions = {}
    for schema in found:
        versions.setdefault((schema.domain, schema.name), []).append(schema.since_version)
    result = {}
    for schema in found:
        later = [version for version in versions[schema.domain, schema.name] if version > schema.since_version]
        if not schema.deprecated:
            result[schema.domain, schema.name, schema.since_version] = schema, min(later, default=newest[schema.domain] + 1) - 1
    return result


@functools.cache
def get_bindings(key: tuple) -> list:
    """Returns the choices of types for a schema: each type of each constraint is in one of them."""
    constraints = {one.type_param_str: get_types(one.allowed_type_strs) for one in get_schemas()[key][0].type_constraints}
    count = max((len(allowed) for allowed in constraints.values()), default=1)
    return [{name: allowed[number % len(allowed)] for name, allowed in constraints.items()} for number in range(count)]


def is_unsupported(case: tuple) -> bool:
    """True where a type of the case is one that Onager has none of, or means nothing to the operator."""
    elements = get_bindings(case[:3])[case[3]].values()
    return any(any(name in element for name in UNSUPPORTED) or (case[1], element) in UNDEFINED for element in elements)


def get_generator(key: tuple):
    return get_generators(key[0]).get(key[1])


def get_reason(key: tuple) -> str:
    """Says why a schema has no cases; empty where it has some, or where no reason is known."""
    if get_generator(key):
        return ""
    table = WITHOUT_MICROSOFT if key[0] == "com.microsoft" else WITHOUT
    return next((reason for reason, names in table.items() if key[1] in names.split()), "")


def get_opset(case: tuple) -> tuple:
    """Returns (domain, version) of the newest operator set that has the version of the case."""
    return case[0], get_schemas()[case[:3]][1]
