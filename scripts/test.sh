#!/usr/bin/env bash
# Installs, builds, runs every test. Last line: `N passed, N failed`, summed over all runners. Arguments limit pytest (test.sh test/install).
#
#   lit          test/**/*.mlir                    where test/lit.cfg.py is
#   GoogleTest   build/bin/onager-unit-tests       where it was built
#   pytest       test/**/test_*.py
#   check_style  the budgets of the code
set -uo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh && scripts/build.sh || { echo "setup or build failed"; echo "0 passed, 1 failed"; exit 1; }
export PATH="$PWD/build/venv/bin:$PWD/build/bin:/usr/lib/llvm-22/bin:$PATH"
results=build/test-results
rm -rf "$results" && mkdir -p "$results"
passed=0 failed=0

# Adds what a runner's output says: counts of passed and failed tests, and one failure where it died without naming any.
tally() { # name, exit status, passed, failed
  local bad=${4:-0}
  [ "$2" -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
  echo "== $1: ${3:-0} passed, $bad failed"
  passed=$((passed + ${3:-0})) failed=$((failed + bad))
}
# Sums the attributes of the test suites in a JUnit file.
junit() { # file -> "passed failed"
  build/venv/bin/python - "$1" <<'PY'
import sys, xml.etree.ElementTree as tree
try:
    root = tree.parse(sys.argv[1]).getroot()
except (OSError, tree.ParseError):
    print("0 1")
    sys.exit()
cases = list(root.iter("testcase"))
bad = sum(any(child.tag in ("failure", "error") for child in case) for case in cases)
skipped = sum(any(child.tag == "skipped" for child in case) for case in cases)
print(len(cases) - bad - skipped, bad)
PY
}

if [ $# -eq 0 ] && [ -f test/lit.cfg.py ]; then
  [ -f build/test/lit.site.cfg.py ] && suite=build/test || suite=test
  lit -s -j "$(nproc)" --xunit-xml-output "$results/lit.xml" "$suite"; status=$?
  tally lit $status $(junit "$results/lit.xml")
  # Once more, with each input printed, parsed and compared before the passes run.
  lit -s -j "$(nproc)" --param roundtrip=1 --filter '\.mlir$' --xunit-xml-output "$results/roundtrip.xml" "$suite"; status=$?
  tally "lit, round trips" $status $(junit "$results/roundtrip.xml")
fi
if [ $# -eq 0 ] && [ -x build/bin/onager-unit-tests ]; then
  build/bin/onager-unit-tests --gtest_brief=1 --gtest_output=xml:"$results/unit.xml"; status=$?
  tally GoogleTest $status $(junit "$results/unit.xml")
fi
run_pytest() { # name, arguments
  local name=$1; shift
  python -m pytest -q --junitxml "$results/$name.xml" "$@"; status=$?
  tally "$name" $status $(junit "$results/$name.xml")
}
if [ $# -gt 0 ]; then
  run_pytest pytest "$@"
elif [ -n "$(find test -name 'test_*.py' -print -quit)" ]; then
  # Operators share nothing; the others build, count threads or bring workers of their own.
  run_pytest pytest-ops -n "$(nproc)" --dist worksteal test/ops
  run_pytest pytest --ignore=test/ops test
fi
if [ $# -eq 0 ]; then
  scripts/check_style.py --quiet | tee "$results/style.txt"; status=${PIPESTATUS[0]}
  tally check_style $status $(sed -n '$s/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$results/style.txt")
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
