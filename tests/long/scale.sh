# Catalogue of 1,938,309 images (the number in OBIA) on SQLite and on PostgreSQL: filled, counted, searched. The output says what
# each search costs. The rows are the same every time. In release mode: it is the engines that are to be measured.
set -euo pipefail
cd "$ROOT"
export ISOCENTER_TEST_IMAGES=${ISOCENTER_TEST_IMAGES:-1938309}
said=$(mktemp)
trap 'rm -f "$said"' EXIT
cargo test --release --locked --package isocenter-schema --test engines -- \
  --show-output --test-threads 1 a_synthetic_archive_has_its_size_and_right_counters | tee "$said"
filled=$(grep -c "^$ISOCENTER_TEST_IMAGES images in" "$said")
slowest=$(grep -E ' rows +[0-9.]+ ms$' "$said" | awk '{ if ($(NF - 1) > worst) { worst = $(NF - 1); line = $0 } } END { gsub(/ +/, " ", line); print line }')
[ "$filled" = 2 ] || { echo "filled $filled of 2 databases"; exit 1; }
echo "$ISOCENTER_TEST_IMAGES images on both engines; slowest search: $slowest"
