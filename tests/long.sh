# Long runs: kills, fuzz, soak, scale and the like. Sourced by tests/run, which has started the servers.
#
# tests/long/NAME.sh is one of them. It gets SEED, ROOT and TARGET in its environment, resumes by itself what it left unfinished
# (its state lies in $STATE), says how it ended in the last line of its output, and ends with 0 when that is good.
# shellcheck shell=bash

run_long() {
  local wanted=$1 script name seed start minutes log result good=1 found=
  for script in "$root"/tests/long/*.sh; do
    name=$(basename "$script" .sh)
    [ -z "$wanted" ] || [ "$wanted" = "$name" ] || continue
    found=yes
    seed=${ISOCENTER_TEST_SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
    log=$scratch/long-$name.log
    start=$SECONDS
    local cache
    cache=$(cache_dir)
    say "$name begins, seed $seed"
    if SEED=$seed ROOT=$root TARGET=$target STATE=${cache:-$root/tests/.cache}/long-$name bash "$script" 2>&1 </dev/null | tee "$log" >&2; then
      result=passed
    else
      result=FAILED
      good=0
      failed+=("$name")
    fi
    minutes=$(awk -v s=$((SECONDS - start)) 'BEGIN { printf "%.1f", s / 60 }')
    record_long "$name" "$seed" "$minutes" "$result" "$(tail -n 1 "$log" | tr '|' '/' | cut -c 1-160)"
  done
  if [ -z "$found" ]; then
    say "there is no long run called $wanted; there are: $(cd "$root/tests/long" && ls -- *.sh | sed 's/\.sh$//' | tr '\n' ' ')"
    failed+=("$wanted")
    return 0
  fi
  [ "$good" = 1 ] || say "a long run failed"
}

record_long() {
  local file=$root/tests/long.md
  if [ ! -s "$file" ]; then
    printf '# Long runs\n\nWritten by `tests/run --long`. A seed repeats a run: `ISOCENTER_TEST_SEED=SEED tests/run --long NAME`.\n\n' >"$file"
    printf '| UTC | commit | run | seed | minutes | result | last line |\n| --- | --- | --- | --- | ---: | --- | --- |\n' >>"$file"
  fi
  printf '| %s | %s | %s | %s | %s | %s | %s |\n' "$(date -u '+%F %H:%M')" \
    "$(git -C "$root" rev-parse --short HEAD 2>/dev/null || echo -)" "$1" "$2" "$3" "$4" "$5" >>"$file"
}
