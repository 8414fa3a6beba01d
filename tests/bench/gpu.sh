#!/bin/sh
# The GPU rows of RESULTS.md: gpu.sh BIN_DIR OUT_DIR. Needs a GPU and room for 3 GB of files. SMALL=1
# is for trying the script itself, on a GPU that is slow because it is none.
set -eu
if [ "${SMALL:-0}" = 1 ]; then
    square=512x512 wide=640x512 d32=40px d16=60px repeat=1 many=2 few=2 slots=2 published=6
else
    square=4096x4096 wide=5760x4092 d32=78px d16=200px repeat=60 many=400 few=200 slots="1 2 3 4 6 8" published=30
fi
bin=$(cd "$1" && pwd)
mkdir -p "$2"
out=$(cd "$2" && pwd)
work=$(mktemp -d)
service=
listener=
finish() {
    [ -z "$listener" ] || kill "$listener" 2>/dev/null || true
    [ -z "$service" ] || kill "$service" 2>/dev/null || true
    wait
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM
nvidia-smi --query-gpu=name,driver_version,clocks.max.sm,memory.total --format=csv >"$out/gpu.csv" || true
"$bin/pickstream" synth --count 1 --size $square "$work/float32" >/dev/null
"$bin/pickstream" synth --count 1 --size $wide --mode 12 --pixel-size 0.83 --diameter 166 "$work/float16" >/dev/null
f32=$(ls "$work"/float32/*.mrc)
f16=$(ls "$work"/float16/*.mrc)
row() {
    name=$1
    shift
    echo "$name"
    "$bin/pickstream" bench --backend cuda --repeat $repeat --json "$@" | tee "$out/$name.json" |
        grep -E '"(device_milliseconds|device_busy_milliseconds|total|micrographs_per_second|device_busy_share|slots)"' || true
}
row aspire_4096_78 --profile aspire --diameter $d32 "$f32"
row adaptive_4096_78 --diameter $d32 "$f32"
row adaptive_5760_200 --diameter $d16 "$f16"
for n in $slots; do
    row sustained_$n --diameter $d32 --slots $n --micrographs $many --timeline "$out/timeline_$n.tsv" "$f32"
done
row sustained_aspire --profile aspire --diameter $d32 --slots 4 --micrographs $few --timeline "$out/timeline_aspire.tsv" "$f32"
"$bin/pickstream" bench --backend cpu --repeat 5 --json --diameter $d32 "$f32" >"$out/cpu_adaptive.json"

# close -> published, through the service, at five micrographs a second
mkdir -p "$work/watched" "$work/state"
"$bin/pickstream" watch --backend cuda --diameter $d32 --set "service.state_directory=$work/state" \
    --set "publish.endpoint=ipc://$work/picks" --set "publish.replay_endpoint=ipc://$work/replay" \
    --set "output.directory=$work/files" "$work/watched" 2>"$out/watch.log" &
service=$!
until "$bin/pickstream" status --set "service.state_directory=$work/state" >/dev/null 2>&1 || ! kill -0 $service; do
    sleep 0.2
done
timeout --foreground 300 "$bin/pickstream" listen --connect "ipc://$work/picks" --replay "ipc://$work/replay" --since 0 --count $published >"$out/latency.txt" &
listener=$!
"$bin/pickstream" synth --count $published --rate 5 --size $square "$work/watched" >/dev/null
wait $listener
listener=
kill -TERM $service
wait $service || true
service=
awk '{print $NF}' "$out/latency.txt" | sort -n | awk '{v[NR] = $1} END {print "close -> published: p50", v[int((NR + 1) / 2)], "p99", v[NR]}'
