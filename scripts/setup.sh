#!/usr/bin/env bash
# Installs what building and testing need: Debian packages, a virtual environment in build/venv, ONNX's C++ library in build/deps.
# With ONAGER_WITH_TORCH=1 PyTorch as well, for onager.train. Does nothing where it is all there; finished steps are remembered under build/.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p build/deps

packages=(llvm-22-dev libmlir-22-dev mlir-22-tools llvm-22-tools clang-22 libclang-rt-22-dev lld-22 liblld-22-dev libprotobuf-dev protobuf-compiler
          libgtest-dev libcli11-dev libxxhash-dev libbenchmark-dev zlib1g-dev libzstd-dev libxml2-dev libjpeg62-turbo-dev
          libpng-dev libwebp-dev libopenjp2-7-dev libtiff-dev libdeflate-dev ccache python3 python3-venv
          python3-pip python3-dev g++ git pkg-config file binutils xz-utils ca-certificates)
installed=$(dpkg-query -W -f='${Package} ${Status}\n' "${packages[@]}" 2>/dev/null | sed -n 's/ install ok installed$//p' | sort -u || true)
missing=()
for package in "${packages[@]}"; do
  grep -qx "$package" <<<"$installed" || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  echo "Installing Debian packages: ${missing[*]}"
  sudo=""; [ "$(id -u)" = 0 ] || sudo=sudo
  $sudo apt-get update -q
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
fi

# The hashes of requirements.txt are those of wheels for CPython 3.11, Debian 12's.
python=python3
"$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || python=/usr/bin/python3
stamp=build/.venv-$(sha256sum scripts/requirements.txt | cut -c1-16)
if [ ! -f "$stamp" ] || [ ! -x build/venv/bin/python ]; then
  echo "Installing Python packages into build/venv (a minute)"
  [ -x build/venv/bin/python ] || "$python" -m venv build/venv
  build/venv/bin/pip install -q --disable-pip-version-check --require-hashes -r scripts/requirements.txt
  rm -f build/.venv-*; touch "$stamp"
fi

stamp=build/.torch-$(cat scripts/requirements.txt scripts/requirements-train.txt | sha256sum | cut -c1-16)
if [ "${ONAGER_WITH_TORCH:-}" = 1 ] && [ ! -f "$stamp" ]; then
  echo "Installing PyTorch into build/venv (a minute, 860 MB)"
  build/venv/bin/pip install -q --disable-pip-version-check --require-hashes -r scripts/requirements-train.txt
  rm -f build/.torch-*; touch "$stamp"
fi

onnx=onnx-1.23.2
onnx_sha256=008cb0467b2bbee41448acc7da8b6f4e704624cb0d327a2d5adafc7ce19bc5b8
if [ ! -f build/deps/onnx/.complete ]; then
  echo "Building ONNX's C++ library in build/deps (two minutes on two cores; log in build/deps/onnx-build.log)"
  export PATH="$PWD/build/venv/bin:$PATH"
  (cd build/deps
   if ! sha256sum -c --status <<<"$onnx_sha256  $onnx.tar.gz" 2>/dev/null; then
     rm -f $onnx.tar.gz
     pip download -q --disable-pip-version-check --no-deps --no-binary onnx onnx==${onnx#onnx-}
     sha256sum -c --quiet <<<"$onnx_sha256  $onnx.tar.gz"
   fi
   rm -rf $onnx onnx-build onnx && tar xf $onnx.tar.gz
   cmake -G Ninja -S $onnx -B onnx-build -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER=clang++-22 \
     -DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_POSITION_INDEPENDENT_CODE=ON \
     -DONNX_BUILD_PYTHON=OFF -DONNX_USE_PROTOBUF_SHARED_LIBS=ON -DCMAKE_INSTALL_PREFIX="$PWD/onnx" > onnx-build.log
   cmake --build onnx-build >> onnx-build.log
   cmake --install onnx-build >> onnx-build.log
   touch onnx/.complete)
fi
