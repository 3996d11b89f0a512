#!/usr/bin/env bash
# Builds compiler, tools and runtime with AddressSanitizer and UndefinedBehaviorSanitizer in build/sanitize and runs a sample of the tests
# over them. Last line: `N passed, N failed`. About 15 minutes on two cores, most of them for the first build.
#
#   lit          all text tests
#   GoogleTest   all unit tests
#   threads      variants that come and go under running contexts, sessions that have them made, with ThreadSanitizer
#   models       damaged models, files and inputs; every k-th node test of the ONNX suite; all through the command line
#
# SAMPLE=k takes every k-th node test (16). LLVM's library and compiled models are not instrumented; test/conformance/test_sanitized.py is for those.
set -uo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh || exit 1
export PATH="$PWD/build/venv/bin:/usr/lib/llvm-22/bin:$PATH"
export CCACHE_SLOPPINESS=pch_defines,time_macros
build=$PWD/build/sanitize
if [ ! -f "$build/build.ninja" ]; then
  cmake -G Ninja -S . -B "$build" -DONAGER_SANITIZE=ON -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS_RELEASE="-O1 -gline-tables-only -DNDEBUG" \
    -DCMAKE_C_COMPILER="${CC:-clang-22}" -DCMAKE_CXX_COMPILER="${CXX:-clang++-22}" -DCMAKE_LINKER_TYPE=LLD \
    -DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_PREFIX_PATH="$PWD/build/deps/onnx" \
    -DPython_EXECUTABLE="$PWD/build/venv/bin/python" || exit 1
fi
ninja -C "$build" -j "${JOBS:-$(nproc)}" onager onager-opt onager-unit-tests || { echo "0 passed, 1 failed"; exit 1; }

# Containers and arenas that cross into LLVM are not annotated there, and the runtime carries its own operator delete; a report ends the process
# with a status that no tool uses.
export ASAN_OPTIONS="detect_container_overflow=0:allow_user_poisoning=0:alloc_dealloc_mismatch=0:detect_odr_violation=0:detect_leaks=0:exitcode=99:\
allocator_may_return_null=1"
export UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1:exitcode=99"
passed=0 failed=0
# Runs one kind of tests; its status alone decides, the counts come from its last line.
kind() { # name, command ...
  local name=$1 output status count
  shift
  output=$("$@" 2>&1); status=$?
  count=$(grep -oE '([0-9]+) passed|Passed *: *[0-9]+|PASSED  \] [0-9]+' <<<"$output" | tail -1 | grep -oE '[0-9]+')
  [ "$status" -eq 0 ] || { printf '%s\n' "$output" | tail -200; failed=$((failed + 1)); }
  echo "== $name: ${count:-0} passed, status $status"
  passed=$((passed + ${count:-0}))
}
kind lit lit -s -j "${JOBS:-$(nproc)}" "$build/test"
kind GoogleTest "$build/bin/onager-unit-tests" --gtest_brief=1
# The zones of sanitized models, with memory that is poisoned by hand.
kind zones env ASAN_OPTIONS="$ASAN_OPTIONS:allow_user_poisoning=1" "$build/bin/onager-unit-tests" --gtest_filter='Sanitizer.*'
threads() {
  local binary=$build/bin/onager-thread-tests
  clang++-22 -std=c++20 -O1 -g -fsanitize=thread -I. -Iinclude test/unit/VariantSetTest.cpp test/unit/RecompileRaceTest.cpp test/unit/Interpose.cpp \
    runtime/core/*.cpp runtime/cache/*.cpp runtime/recompile/*.cpp -lgtest -lgtest_main -lpthread -ldl -o "$binary" && "$binary" --gtest_brief=1
}
kind threads threads
export ONAGER_BUILD_DIR=$build ONAGER_TEST_SAMPLE=${SAMPLE:-16} ONAGER_TEST_TOOL=1 ONAGER_TEST_CASES=${CASES:-20}
[ -d build/suites ] && ln -sfn "$PWD/build/suites" "$build/suites"
kind models python -m pytest -q test/badinput/test_bad_files.py test/badinput/test_bad_models.py test/conformance/test_tool.py
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
