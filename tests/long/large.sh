# One object of more than 5 GB (512 frames, RLE) by C-STORE and by STOW-RS, against a release build. The server's peak memory stays
# below 300 MB on the way in and on the way out, a frame near the end is the one that was sent, and so is the whole pixel data.
# Takes 17 GB of disk below $STATE while it runs. ISOCENTER_TEST_FRAMES makes it smaller, ISOCENTER_TEST_PROGRAM takes another build.
set -euo pipefail
cd "$ROOT"
program=${ISOCENTER_TEST_PROGRAM:-}
if [ -z "$program" ]; then
  cargo build --release --locked --package isocenter
  program=$TARGET/release/isocenter
fi
mkdir -p "$STATE"
# A run that was cut off may have left its files.
rm -rf "$STATE"/work.*
work=$(mktemp -d "$STATE/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
"$ISOCENTER_TEST_PYTHON" -B tests/long/large.py "$program" "$work" "$SEED" "${ISOCENTER_TEST_FRAMES:-512}"
