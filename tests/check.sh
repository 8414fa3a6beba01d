#!/bin/sh
# Runs all tests, once everything is built: what `make check` ends with.
#
#     check.sh PYTHON [PYTEST-ARGUMENT ...]
#
# Some tests keep a core busy and others mostly wait, so three processes share them (conftest.py).
# The first begins with the test programs, which are the busy ones, and gives way to the others.
python=$1
shift
cd "$(dirname "$0")/.." || exit 1
scratch=$(mktemp -d) || exit 1
running=
finish() {
    [ -z "$running" ] || kill $running 2>/dev/null
    wait
    rm -rf "$scratch"
}
trap finish EXIT
trap 'exit 130' INT TERM
mkdir "$scratch/claims"
export PICKSTREAM_CLAIMS="$scratch/claims"
set -- "$python" -m pytest -q -p no:cacheprovider "$@"
nice "$@" tests/test_programs.py tests/integration >"$scratch/1" 2>&1 &
running=$!
"$@" tests/integration tests/test_programs.py >"$scratch/2" 2>&1 &
running="$running $!"
"$@" tests/integration tests/test_programs.py
result=$?
nothing_selected=5
for process in $running; do
    wait "$process"
    status=$?
    [ $result -ne 0 ] && [ $result -ne $nothing_selected ] || result=$status
done
running=
cat "$scratch/1" "$scratch/2"
exit $result
