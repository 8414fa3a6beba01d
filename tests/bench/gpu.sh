#!/bin/sh
# The GPU rows of RESULTS.md: gpu.sh BIN_DIR OUT_DIR. Needs a GPU and room for 3 GB of files.
set -eu
bin=$(cd "$1" && pwd)
mkdir -p "$2"
out=$(cd "$2" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
nvidia-smi --query-gpu=name,driver_version,clocks.max.sm,memory.total --format=csv >"$out/gpu.csv" || true
"$bin/pickstream" synth --count 1 --size 4096x4096 "$work/float32" >/dev/null
"$bin/pickstream" synth --count 1 --size 5760x4092 --mode 12 --pixel-size 0.83 --diameter 166 "$work/float16" >/dev/null
f32=$(ls "$work"/float32/*.mrc)
f16=$(ls "$work"/float16/*.mrc)
row() {
    name=$1
    shift
    echo "$name"
    "$bin/pickstream" bench --backend cuda --repeat 60 --json "$@" | tee "$out/$name.json" |
        grep -E '"(device_milliseconds|device_busy_milliseconds|total|micrographs_per_second|device_busy_share|slots)"' || true
}
row aspire_4096_78 --profile aspire --diameter 78px "$f32"
row adaptive_4096_78 --diameter 78px "$f32"
row adaptive_5760_200 --diameter 200px "$f16"
for slots in 1 2 3 4 6 8; do
    row sustained_$slots --diameter 78px --slots $slots --micrographs 400 --timeline "$out/timeline_$slots.tsv" "$f32"
done
row sustained_aspire --profile aspire --diameter 78px --slots 4 --micrographs 200 --timeline "$out/timeline_aspire.tsv" "$f32"
"$bin/pickstream" bench --backend cpu --repeat 5 --json --diameter 78px "$f32" >"$out/cpu_adaptive.json"

# close -> published, through the service, at five micrographs a second
mkdir -p "$work/watched" "$work/state"
"$bin/pickstream" watch --backend cuda --diameter 78px --set "service.state_directory=$work/state" \
    --set "publish.endpoint=ipc://$work/picks" --set "publish.replay_endpoint=ipc://$work/replay" \
    --set output.directory= "$work/watched" 2>"$out/watch.log" &
service=$!
"$bin/pickstream" listen --connect "ipc://$work/picks" --replay "ipc://$work/replay" --since 0 --count 30 >"$out/latency.txt" &
listener=$!
"$bin/pickstream" synth --count 30 --rate 5 --size 4096x4096 "$work/watched" >/dev/null
wait $listener
kill -TERM $service
wait $service || true
awk '{print $NF}' "$out/latency.txt" | sort -n | awk '{v[NR] = $1} END {print "close -> published: p50", v[int((NR + 1) / 2)], "p99", v[NR]}'
