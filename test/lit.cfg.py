"""Text tests: .mlir files through onager-opt, .onnxtxt files (ONNX text models) through `onager compile`.

With `--param roundtrip=1` every %opt also prints, parses and compares its input, as text and as bytecode, before it does its work.
"""
import os

import lit.formats

config.name = "Onager"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".onnxtxt"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.onager_build, "test")
config.excludes = ["unit", "support", "conformance", "fuzz", "badinput", "determinism", "python", "CMakeLists.txt"]
config.environment["PATH"] = os.pathsep.join([os.path.join(config.onager_build, "bin"), config.llvm_tools, os.environ["PATH"]])
# `not` tells a clean failure from a crash; each file adds what it looks at.
roundtrip = " --verify-roundtrip" if lit_config.params.get("roundtrip") else ""
config.substitutions.append(("%operators", os.path.join(config.onager_build, "test", "example-operators.so")))
config.substitutions.append(("%opt", "onager-opt --verify-each" + roundtrip))
