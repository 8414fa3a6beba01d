#!/bin/sh
# Tests the CUDA backend on a real GPU: check_gpu.sh BIN_DIR [WORK_DIR]
#
# BIN_DIR contains pickstream and the tests of this directory. Part 2 uses NVIDIA's compute-sanitizer if it is installed;
# part 4 uses micrographs of ../shared if PICKSTREAM_DATA names them. SMALL=1 is for testing the script itself on the
# emulated GPU. Exit status 0: everything that could run passed; 77: no GPU.
set -u
if [ "${SMALL:-0}" = 1 ]; then
    large= runs=2 side=1024 many=12 small_side=512 diameter=60px
else
    large=--large runs=24 side=2048 many=2000 small_side=1024 diameter=78px
fi
bin=$(cd "$1" && pwd)
work=${2:-$(mktemp -d)}
mkdir -p "$work"
work=$(cd "$work" && pwd)
failed=0
service=
writer=
finish() {
    [ -z "$writer" ] || kill "$writer" 2>/dev/null || true
    [ -z "$service" ] || kill "$service" 2>/dev/null || true
    wait
}
trap finish EXIT
trap 'exit 130' INT TERM
say() { printf '\n== %s\n' "$*"; }
report() {
    if [ "$1" -eq 0 ]; then echo "passed: $2"; else echo "FAILED: $2"; failed=1; fi
}

if ! "$bin/pickstream" bench --backend cuda --size 512 --repeat 1 --diameter 40px >"$work/first" 2>&1; then
    if command -v nvidia-smi >/dev/null && nvidia-smi -L >/dev/null 2>&1; then
        cat "$work/first"
        echo "FAILED: there is a GPU, but it cannot be used"
        exit 1
    fi
    echo "skipped: no GPU ($(cat "$work/first"))"
    exit 77
fi
sed -n 2p "$work/first"

say "1. every stage and the picks, CPU against GPU, sizes up to 8192 x 8192"
for test in "$bin"/test_*; do
    "$test" $large
    report $? "${test##*/}"
done

say "2. compute-sanitizer"
if command -v compute-sanitizer >/dev/null; then
    for tool in memcheck racecheck initcheck; do
        compute-sanitizer --tool $tool --error-exitcode 9 --print-limit 20 "$bin/pickstream" bench \
            --backend cuda --size 640 --repeat 1 --slots 1 --diameter 40px >"$work/$tool.adaptive" 2>&1
        report $? "$tool, adaptive"
        compute-sanitizer --tool $tool --error-exitcode 9 --print-limit 20 "$bin/pickstream" bench \
            --backend cuda --size 640 --repeat 1 --slots 1 --diameter 40px --profile aspire >"$work/$tool.aspire" 2>&1
        report $? "$tool, aspire"
    done
    grep -h "=========" "$work"/memcheck.* "$work"/racecheck.* "$work"/initcheck.* | sort | uniq -c | sort -rn | head -20
else
    echo "skipped: no compute-sanitizer"
fi

say "3. $runs runs of one file are the same bytes"
"$bin/pickstream" synth --count 1 --size ${side}x$side "$work/one" >/dev/null
for profile in adaptive aspire; do
    for i in $(seq $runs); do
        "$bin/pickstream" pick --backend cuda --profile $profile --diameter $diameter --format star -o "$work/$profile.$i" "$work/one" >/dev/null 2>&1
    done
    [ "$(cat "$work/$profile".*/*_autopick.star | wc -c)" -gt $((runs * 150)) ] &&
        [ "$(sha256sum "$work/$profile".*/*_autopick.star | cut -d' ' -f1 | sort -u | wc -l)" -eq 1 ]
    report $? "$runs equal runs, $profile"
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
        report $? "the same F1 of $d"
    done
else
    echo "skipped: PICKSTREAM_DATA names no micrographs"
fi

say "5. $many micrographs through the service: memory of host and device"
watched=$work/watched
rm -rf "$watched" "$work/state"
mkdir -p "$watched" "$work/state"
"$bin/pickstream" watch --backend cuda --diameter 40px --set "service.state_directory=$work/state" \
    --set "output.directory=$work/files" --set "publish.endpoint=ipc://$work/picks" \
    --set "publish.replay_endpoint=ipc://$work/replay" "$watched" 2>"$work/watch.log" &
service=$!
until "$bin/pickstream" status --set "service.state_directory=$work/state" >/dev/null 2>&1 || ! kill -0 $service; do
    sleep 0.2
done
"$bin/pickstream" synth --count $many --size ${small_side}x$small_side "$watched" >/dev/null &
writer=$!
memory() {
    host=$(awk '/VmRSS/ {print $2}' /proc/$service/status)
    device=$(nvidia-smi --query-gpu=memory.used --format=csv,noheader,nounits 2>/dev/null | head -1)
    echo "$1 outcomes: host $host kB, device ${device:-0} MiB"
}
timeout --foreground 900 "$bin/pickstream" listen --connect "ipc://$work/picks" --replay "ipc://$work/replay" --since 0 --count $many | {
    outcomes=0
    while read -r line; do
        echo "$line"
        outcomes=$((outcomes + 1))
        [ $((outcomes % (many / 4))) -ne 0 ] || memory $outcomes >>"$work/memory"
    done
} >"$work/outcomes"
cat "$work/memory"
[ "$(wc -l <"$work/outcomes")" -eq "$many" ]
report $? "$many outcomes"
kill $writer 2>/dev/null
writer=
kill -TERM $service
wait $service
report $? "the service ended well"
service=
! grep -qw failed "$work/outcomes"
report $? "none failed"
awk '{gsub(",", ""); h[NR] = $4; d[NR] = $7} END {exit !(NR > 1 && h[NR] <= h[1] * 1.05 && d[NR] <= d[1] * 1.05)}' "$work/memory"
report $? "no growth from outcome $((many / 4)) to $many"

[ $failed -eq 0 ] && echo && echo "all passed" || exit 1
