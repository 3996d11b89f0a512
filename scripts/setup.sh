#!/usr/bin/env bash
# Installs what building and testing need: Debian packages, a virtual environment in build/venv, ONNX's C++ library in build/deps.
# Does nothing where it is all there; finished steps are remembered under build/.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p build/deps

packages=(llvm-22-dev libmlir-22-dev mlir-22-tools llvm-22-tools clang-22 lld-22 liblld-22-dev libprotobuf-dev protobuf-compiler
          libgtest-dev libcli11-dev libxxhash-dev ccache python3 python3-venv python3-dev g++ git)
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  sudo=""; [ "$(id -u)" = 0 ] || sudo=sudo
  $sudo apt-get update -q
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -q --no-install-recommends "${missing[@]}"
fi

stamp=build/.venv-$(sha256sum scripts/requirements.txt | cut -c1-16)
if [ ! -f "$stamp" ]; then
  python3 -m venv build/venv
  build/venv/bin/pip install -q --disable-pip-version-check --require-hashes -r scripts/requirements.txt
  rm -f build/.venv-*; touch "$stamp"
fi

if [ ! -f build/deps/onnx/lib/libonnx.a ]; then
  export PATH="$PWD/build/venv/bin:$PATH"
  (cd build/deps
   [ -f onnx-1.23.2.tar.gz ] || pip download -q --disable-pip-version-check --no-deps --no-binary onnx onnx==1.23.2
   rm -rf onnx-1.23.2 onnx-build && tar xf onnx-1.23.2.tar.gz
   cmake -G Ninja -S onnx-1.23.2 -B onnx-build -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_COMPILER=clang-22 -DCMAKE_CXX_COMPILER=clang++-22 \
     -DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_POSITION_INDEPENDENT_CODE=ON \
     -DONNX_BUILD_PYTHON=OFF -DONNX_USE_PROTOBUF_SHARED_LIBS=ON -DCMAKE_INSTALL_PREFIX="$PWD/onnx" > onnx-build.log
   cmake --build onnx-build >> onnx-build.log
   cmake --install onnx-build >> onnx-build.log)
fi
