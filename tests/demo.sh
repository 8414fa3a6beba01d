#!/bin/sh
# Synthesises micrographs with known particles, picks them, and says how well.
set -eu
pickstream=$1
directory=$2
rm -rf "$directory"
mkdir -p "$directory"
echo "Synthetic micrographs (2048 x 2048 px, 1.4 A/px, particles of 110 A):"
"$pickstream" synth --count 2 --seed 7 "$directory/micrographs"
ls "$directory/micrographs"
echo
echo "Picking them with nothing but the particle diameter:"
"$pickstream" pick --diameter 110 --overlay --truth "$directory/micrographs" \
    -o "$directory/picks" "$directory/micrographs" 2>&1
echo
echo "The first picks of $directory/picks/synth_000001_autopick.star:"
head -n 12 "$directory/picks/synth_000001_autopick.star"
echo
echo "Look at them: $directory/picks/synth_000001_overlay.png (picks as circles)"
echo "For RELION:   $directory/picks/synth_000001_autopick.star"
