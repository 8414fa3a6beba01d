#!/bin/sh
# Runs test programs, several at once, and prints the output of those that fail: what
# `make check-unit` ends with.
#
#     run_programs.sh PROGRAM...
set -u
cd "$(dirname "$0")/.." || exit 1
logs=$(mktemp -d) || exit 1
trap 'rm -rf "$logs"' EXIT
trap 'exit 130' INT TERM
export logs PICKSTREAM_DATA="${PICKSTREAM_DATA:-$(realpath ../shared 2>/dev/null)}"
printf '%s\n' "$@" | xargs -P "$(nproc)" -I{} sh -c '
    log=$logs/$(basename {}).log
    if "{}" >"$log" 2>&1; then
        printf "  ok    %s\n" "{}"
    else
        printf "  FAIL  %s\n" "{}"
        cat "$log"
        exit 1
    fi'
