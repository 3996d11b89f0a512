#!/usr/bin/env bash
# The whole way on a bare Debian 12: installs, builds, trains a small classifier, compiles it to one file, runs it on digits it has not seen,
# then compiles and runs a real model where ../shared/models has one. What is done already is not done again.
set -euo pipefail
cd "$(dirname "$0")/.."
step() { printf '\n== %s\n' "$*"; }

step "Installing what building needs (minutes on a bare machine, nothing where it is there)"
scripts/setup.sh
step "Building (minutes at first)"
scripts/build.sh
python=build/venv/bin/python
demo=build/demo
mkdir -p "$demo"

step "A classifier of handwritten digits, trained here"
if [ "$demo/digits.npz" -nt examples/digits/train.py ] && [ "$demo/digits.npz" -nt examples/digits/network.py ]; then
  echo "Trained before: $demo/digits.onnx"
else
  $python examples/digits/train.py "$demo"
fi
$python examples/digits/evaluate.py "$demo"

# A face detector at 320x240, with inputs that were recorded when it was collected.
step "A real model: ultraface-rfb-320, which finds faces"
archive=${ONAGER_SHARED_DIR:-../shared}/models/models.tar.xz
model=models/ultraface-rfb-320
if [ -f "$archive" ]; then
  if [ ! "$demo/$model/model.onnx" -nt "$archive" ]; then
    tar xf "$archive" -C "$demo" --touch "$model"
  fi
  $python examples/digits/real_model.py "$demo/$model/model.onnx" "$demo/ultraface-rfb-320.so" "$demo/$model/ort_data_set_0"
else
  echo "SKIPPED: $archive is absent, so no real model was compiled or run"
fi
