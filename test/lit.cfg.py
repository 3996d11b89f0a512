"""Text tests: .mlir files through onager-opt, .onnxtxt files (ONNX text models) through `onager compile`."""
import os

import lit.formats

config.name = "Onager"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".onnxtxt"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.onager_build, "test")
config.excludes = ["unit", "support", "conformance", "fuzz", "badinput", "python", "CMakeLists.txt"]
config.environment["PATH"] = os.pathsep.join([os.path.join(config.onager_build, "bin"), config.llvm_tools, os.environ["PATH"]])
# `not` tells a clean failure from a crash; each file adds what it looks at.
config.substitutions.append(("%opt", "onager-opt -verify-each"))
