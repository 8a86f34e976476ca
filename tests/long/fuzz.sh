# Fuzz targets of scripts, data sets and pixel scripts, ISOCENTER_TEST_FUZZ_MINUTES each (30). The stable toolchain compiles them
# with coverage; libFuzzer drives them. What was found interesting is kept, so that the next run begins where this one ended.
set -euo pipefail
cd "$ROOT/server/deid/fuzz"
minutes=${ISOCENTER_TEST_FUZZ_MINUTES:-30}
host=$(rustc -vV | sed -n 's/^host: //p')
# As cargo-fuzz without a sanitizer. A target is named so that build scripts stay as they are.
RUSTFLAGS="--cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares" \
  CARGO_TARGET_DIR=$STATE/target cargo build --release --locked --target "$host"

said=
for name in script data_set pixel_script; do
  corpus=$STATE/corpus/$name
  mkdir -p "$corpus"
  dictionary=dictionaries/script.dict longest=4096
  if [ "$name" = data_set ]; then
    dictionary=dictionaries/data_set.dict longest=49152
    if [ -d "${ISOCENTER_TEST_DATA:-}/dicom" ]; then
      find "$ISOCENTER_TEST_DATA/dicom" -type f -size -48k -exec cp --no-preserve=mode --update=none {} "$corpus" \;
    fi
  else
    cp seeds/"$name"/* "$corpus"
  fi
  log=$STATE/$name.log
  if ! nice -n 19 "$STATE/target/$host/release/$name" "$corpus" -seed="$SEED" -max_total_time=$((minutes * 60)) -dict="$dictionary" \
    -max_len=$longest -timeout=60 -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$STATE/$name-" >"$log" 2>&1; then
    tail -n 40 "$log"
    echo "$name: a finding, its input is in $STATE"
    exit 1
  fi
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  said="$said${said:+, }$name $runs inputs"
done
echo "$said; $minutes minutes each, no finding"
