#!/usr/bin/env bash
# Fuzzes what reads foreign bytes, guided by coverage, with AddressSanitizer and UndefinedBehaviorSanitizer, until the time is over or a key interrupts it:
#
#   scripts/fuzz.sh [TARGET ...] [--runs N] [--seconds N] [--seed N]      targets: model artifact cache calls formats images regex; all by default, in turn
#
# Corpus, counts and crashing inputs stay in ONAGER_FUZZ_DIR (build/fuzz), so that a later call goes on from there. The first build, in
# build/fuzzers, takes five minutes on two cores. `test/fuzz/run_targets.py --help` tells the rest.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh
scripts/build.sh onager
export PATH="$PWD/build/venv/bin:/usr/lib/llvm-22/bin:$PATH"
export CCACHE_SLOPPINESS=pch_defines,time_macros
build=$PWD/build/fuzzers
if [ ! -f "$build/build.ninja" ]; then
  cmake -G Ninja -S . -B "$build" -DONAGER_SANITIZE=ON -DONAGER_FUZZERS=ON -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS_RELEASE="-O1 -gline-tables-only -DNDEBUG" \
    -DCMAKE_C_COMPILER="${CC:-clang-22}" -DCMAKE_CXX_COMPILER="${CXX:-clang++-22}" -DCMAKE_LINKER_TYPE=LLD \
    -DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_PREFIX_PATH="$PWD/build/deps/onnx" \
    -DPython_EXECUTABLE="$PWD/build/venv/bin/python"
fi
targets=()
for argument in "$@"; do
  [[ "$argument" =~ ^(model|artifact|cache|calls|formats|images|regex)$ ]] && targets+=("onager-fuzz-$argument")
done
[ ${#targets[@]} -gt 0 ] || targets=(onager-fuzz-model onager-fuzz-artifact onager-fuzz-cache onager-fuzz-calls onager-fuzz-formats onager-fuzz-images onager-fuzz-regex)
ninja -C "$build" -j "${JOBS:-$(nproc)}" "${targets[@]}"
exec python test/fuzz/run_targets.py --programs "$build/bin" "$@"
