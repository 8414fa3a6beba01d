#!/bin/sh
# Proves the CUDA backend on a real GPU: check_gpu.sh BIN_DIR [WORK_DIR]
#
# BIN_DIR holds pickstream and the tests of this directory. Needs nothing else but, for the second part, NVIDIA's
# compute-sanitizer; part 4 uses micrographs of ../shared where PICKSTREAM_DATA names them. Exit
# status 0 if all that could run passed; 77 without a GPU.
set -u
bin=$(cd "$1" && pwd)
work=${2:-$(mktemp -d)}
mkdir -p "$work"
failed=0
say() { printf '\n== %s\n' "$*"; }
verdict() {
    if [ "$1" -eq 0 ]; then echo "passed: $2"; else echo "FAILED: $2"; failed=1; fi
}

if ! "$bin/pickstream" bench --backend cuda --size 512 --repeat 1 --diameter 40px >"$work/first" 2>&1; then
    if command -v nvidia-smi >/dev/null && nvidia-smi -L >/dev/null 2>&1; then
        cat "$work/first"
        echo "FAILED: there is a GPU, and it cannot be used"
        exit 1
    fi
    echo "skipped: no GPU ($(cat "$work/first"))"
    exit 77
fi
sed -n 2p "$work/first"

say "1. every stage and the picks, CPU against GPU, sizes up to 8192 x 8192"
for test in "$bin"/test_*; do
    "$test" --large
    verdict $? "${test##*/}"
done

say "2. compute-sanitizer"
if command -v compute-sanitizer >/dev/null; then
    for tool in memcheck racecheck initcheck; do
        compute-sanitizer --tool $tool --error-exitcode 9 --print-limit 20 "$bin/pickstream" bench \
            --backend cuda --size 640 --repeat 1 --slots 1 --diameter 40px >"$work/$tool.adaptive" 2>&1
        verdict $? "$tool, adaptive"
        compute-sanitizer --tool $tool --error-exitcode 9 --print-limit 20 "$bin/pickstream" bench \
            --backend cuda --size 640 --repeat 1 --slots 1 --diameter 40px --profile aspire >"$work/$tool.aspire" 2>&1
        verdict $? "$tool, aspire"
    done
    grep -h "=========" "$work"/memcheck.* "$work"/racecheck.* "$work"/initcheck.* | sort | uniq -c | sort -rn | head -20
else
    echo "skipped: no compute-sanitizer"
fi

say "3. 24 runs of one file are the same bytes"
"$bin/pickstream" synth --count 1 --size 2048x2048 "$work/one" >/dev/null
for profile in adaptive aspire; do
    for i in $(seq 24); do
        "$bin/pickstream" pick --backend cuda --profile $profile --diameter 78px --format star -o "$work/$profile.$i" "$work/one" >/dev/null 2>&1
    done
    [ "$(cat "$work/$profile".*/*.star | wc -c)" -gt 1000 ] &&
        [ "$(sha256sum "$work/$profile".*/*.star | cut -d' ' -f1 | sort -u | wc -l)" -eq 1 ]
    verdict $? "24 equal runs, $profile"
done

say "4. annotated micrographs"
data=${PICKSTREAM_DATA:-}
if [ -d "$data/data" ]; then
    for d in "$data"/data/*/; do
        [ -n "$(ls "$d"*_truth.* 2>/dev/null)" ] || continue
        for backend in cpu cuda; do
            "$bin/pickstream" pick --backend $backend --diameter 64px --truth "$d" -o "$work/truth.$backend" "$d" 2>&1 |
                tail -1
        done >"$work/accuracy"
        cat "$work/accuracy"
        sed -n 's/.*F1 \([0-9.]*\)).*/\1/p' "$work/accuracy" |
            awk '{f1[NR] = $1} END {exit !(NR == 2 && f1[1] - f1[2] <= 0.005 && f1[2] - f1[1] <= 0.005)}'
        verdict $? "the same F1 of $d"
    done
else
    echo "skipped: PICKSTREAM_DATA names no micrographs"
fi

say "5. 2,000 micrographs through the service: memory of host and device"
watched=$work/watched
rm -rf "$watched" "$work/state"
mkdir -p "$watched" "$work/state"
"$bin/pickstream" watch --backend cuda --diameter 40px --set "service.state_directory=$work/state" \
    --set "output.directory=" --set "publish.endpoint=ipc://$work/picks" \
    --set "publish.replay_endpoint=ipc://$work/replay" "$watched" 2>"$work/watch.log" &
service=$!
"$bin/pickstream" synth --count 2000 --size 1024x1024 "$watched" >/dev/null &
writer=$!
memory() {
    host=$(awk '/VmRSS/ {print $2}' /proc/$service/status)
    device=$(nvidia-smi --query-gpu=memory.used --format=csv,noheader,nounits 2>/dev/null | head -1)
    echo "$1 outcomes: host $host kB, device ${device:-0} MiB"
}
"$bin/pickstream" listen --connect "ipc://$work/picks" --replay "ipc://$work/replay" --since 0 --count 2000 | {
    outcomes=0
    while read -r line; do
        echo "$line"
        outcomes=$((outcomes + 1))
        [ $((outcomes % 500)) -ne 0 ] || memory $outcomes >>"$work/memory"
    done
} >"$work/outcomes"
cat "$work/memory"
[ "$(wc -l <"$work/outcomes")" -eq 2000 ]
verdict $? "2,000 outcomes"
kill $writer 2>/dev/null
kill -TERM $service
wait $service
verdict $? "the service ended well"
! grep -qw failed "$work/outcomes"
verdict $? "none failed"
awk '{gsub(",", ""); h[NR] = $4; d[NR] = $7} END {exit !(NR > 1 && h[NR] <= h[1] * 1.05 && d[NR] <= d[1] * 1.05)}' "$work/memory"
verdict $? "no growth from outcome 500 to 2,000"

[ $failed -eq 0 ] && echo && echo "all passed" || exit 1
