#!/bin/sh
# Runs all tests, once everything is built: what `make check` ends with.
#
#     check.sh PYTHON [PYTEST-ARGUMENT ...]
#
# The test programs keep the cores busy and the others mostly wait for something, so both go on at
# once, the others first where both want a core. What the programs said comes last.
python=$1
shift
cd "$(dirname "$0")/.." || exit 1
report=$(mktemp) || exit 1
programs=
finish() {
    [ -z "$programs" ] || kill "$programs" 2>/dev/null
    wait
    rm -f "$report"
}
trap finish EXIT
trap 'exit 130' INT TERM
set -- -m pytest -q -p no:cacheprovider "$@"
nice "$python" "$@" tests/test_programs.py >"$report" 2>&1 &
programs=$!
"$python" "$@" --ignore=tests/test_programs.py tests
others=$?
wait "$programs"
status=$?
programs=
printf '\nThe test programs:\n'
cat "$report"
nothing_selected=5
[ $others -ne $nothing_selected ] || exit $status
[ $status -ne 0 ] && [ $status -ne $nothing_selected ] && exit $status
exit $others
