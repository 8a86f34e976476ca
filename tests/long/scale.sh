# Catalogue of 1,938,309 images (the number in OBIA) on SQLite and on PostgreSQL: filled, counted, searched. The output says how
# large each database is and what each search costs. The rows are the same every time. In release mode: it is the engines that
# are to be measured.
set -euo pipefail
cd "$ROOT"
export ISOCENTER_TEST_IMAGES=${ISOCENTER_TEST_IMAGES:-1938309} ISOCENTER_TEST_ROUNDS=${ISOCENTER_TEST_ROUNDS:-40}
said=$(mktemp)
trap 'rm -f "$said"' EXIT
cargo test --release --locked --package isocenter-schema --test engines -- \
  --show-output --test-threads 1 a_synthetic_archive_has_its_size_and_right_counters | tee "$said"
sizes=$(sed -n "s/^$ISOCENTER_TEST_IMAGES images in .*, \([0-9]* MiB\)$/\1/p" "$said" | paste -sd ' ')
[ "$(wc -w <<<"$sizes")" = 4 ] || { echo "not both databases were filled"; exit 1; }
slowest=$(grep -E ' rows first .* ms$' "$said" | awk '{ if ($(NF - 1) > worst) { worst = $(NF - 1); line = $0 } } END { gsub(/ +/, " ", line); print line }')
echo "$ISOCENTER_TEST_IMAGES images on both engines ($sizes); slowest search: $slowest"
