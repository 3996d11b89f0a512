#!/usr/bin/env bash
# Configures build/ where needed and builds the given targets (all by default). One build at a time.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p build
exec 9>build/.lock
flock 9
export PATH="$PWD/build/venv/bin:$PATH"
# Precompiled headers are cached as what they are made of.
export CCACHE_SLOPPINESS=pch_defines,time_macros
if [ ! -f build/build.ninja ]; then
  cmake -G Ninja -S . -B build -DCMAKE_BUILD_TYPE="${BUILD_TYPE:-Release}" \
    -DCMAKE_C_COMPILER="${CC:-clang-22}" -DCMAKE_CXX_COMPILER="${CXX:-clang++-22}" -DCMAKE_LINKER_TYPE=LLD \
    -DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_PREFIX_PATH="$PWD/build/deps/onnx" \
    -DPython_EXECUTABLE="$PWD/build/venv/bin/python" ${CMAKE_ARGS:-}
fi
# The virtual environment imports the package from the build folder.
for site in build/venv/lib/python3*/site-packages; do
  echo "$PWD/build/python" > "$site/onager.pth"
done
ninja -C build "$@"
