# kill -9 at random moments under load, 200 times; nothing that was acknowledged may be missing. SEED repeats the moments.
set -euo pipefail
cd "$ROOT"
export ISOCENTER_TEST_KILLS=${ISOCENTER_TEST_KILLS:-200} ISOCENTER_TEST_SEED=$SEED
# As in tests/run: the whole workspace with one set of features, so that nothing is built a second time.
cargo build --workspace --bins --locked --features isocenter/faults
said=$(mktemp)
trap 'rm -f "$said"' EXIT
cargo test --workspace --locked --features isocenter/faults --test faults -- \
  --exact --show-output kills::kills_at_random_lose_nothing_that_was_acknowledged | tee "$said"
# The last line is what long.md keeps; without it the test has not run.
grep 'kills with an object in flight' "$said"
