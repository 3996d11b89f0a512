#!/bin/sh
# onager 0.1.0 crashed here, in stage 'artifact'.
cd '/work/main' && exec '/work/main/build/bin/onager' 'compile' '/tmp/pytest-of-root/pytest-52/test_full_disk_0_01_0/m.onnx' '-o' '/tmp/pytest-of-root/pytest-52/test_full_disk_0_01_0/out/m.so'
