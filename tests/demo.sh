#!/bin/sh
# The whole chain in a minute: a synthetic microscope writes micrographs, the service picks them as
# they appear, a subscriber prints the outcomes, and in the end the picks are held against the truth.
# VIEW=1 keeps the service and the microscope running then, for the live view.
set -eu
pickstream=$1
directory=$2
count=8
diameter=110 # A, which is what synth makes

rm -rf "$directory"
mkdir -p "$directory/micrographs" "$directory/picks"
# The path of a socket must be short, and that of a clone can be long.
state=$(mktemp -d /tmp/pickstream-demo.XXXXXX)
cat >"$directory/pickstream.ini" <<END
[input]
directories = "$(realpath "$directory")/micrographs"
[picker]
particle_diameter = $diameter
[publish]
endpoint = ipc://$state/publish.sock
replay_endpoint = ipc://$state/replay.sock
session = demo
[http]
listen = 127.0.0.1:0
[output]
directory = $directory/picks
[service]
state_directory = $state
END
service=
microscope=
finish() {
    [ -z "$service" ] || kill "$service" 2>/dev/null || true
    [ -z "$microscope" ] || kill "$microscope" 2>/dev/null || true
    wait # until the address is free
    rm -rf "$state"
}
trap finish EXIT
trap 'exit 130' INT TERM

echo "The service watches $directory/micrographs (its log: $directory/service.log)"
"$pickstream" watch -c "$directory/pickstream.ini" 2>"$directory/service.log" &
service=$!

until url=$("$pickstream" status -c "$directory/pickstream.ini" | sed -n 's/^live view *//p') && [ "$url" ]; do
    kill -0 "$service" 2>/dev/null || {
        cat "$directory/service.log"
        exit 1
    }
    sleep 0.1
done
echo "Its live view, while it runs:  $url"
echo "The microscope writes $count micrographs, one every 2 seconds, half of them by rename"
"$pickstream" synth --count $count --seed 7 --rate 0.5 --slow "$directory/micrographs" >"$directory/synth.log" &
microscope=$!

echo "The subscriber prints every outcome as it is published: seq, micrograph, outcome, picks,"
echo "median score, seconds from the close of the file to the message"
echo
timeout --foreground 110 "$pickstream" listen -c "$directory/pickstream.ini" --since 0 --count $count || {
    echo "The subscriber did not get $count outcomes; the service's log:"
    cat "$directory/service.log"
    exit 1
}
wait "$microscope"
microscope=

echo
echo "What the service says of itself:"
"$pickstream" status -c "$directory/pickstream.ini"
if [ -z "${VIEW:-}" ]; then
    kill "$service"
    wait "$service" && service=
fi
echo
echo "Its picks against the known particles, and a picture of the first micrograph:"
"$pickstream" pick --diameter $diameter --overlay --truth "$directory/micrographs" \
    -o "$directory/check" "$directory/micrographs" 2>&1
cmp "$directory/check/synth_000001_autopick.star" "$directory/picks/synth_000001_autopick.star"
echo
echo "STAR files: $directory/picks/synth_000001_autopick.star and so on (RELION's columns):"
grep -v '^$' "$directory/picks/synth_000001_autopick.star" | head -n 9
echo "Look at it: $directory/check/synth_000001_overlay.png (picks as circles)"
[ -n "${VIEW:-}" ] || exit 0

echo
echo "The service continues, and the microscope writes 200 more, one every 10 seconds. Look at them:"
echo
echo "    $url"
echo
echo "Ctrl-C ends it."
"$pickstream" synth --count 200 --seed 8 --rate 0.1 --slow --mode 12 --contaminants 2 \
    "$directory/micrographs/more" >>"$directory/synth.log" &
microscope=$!
wait "$service" || true
exit 130 # only an interruption, or a failure, ends it
