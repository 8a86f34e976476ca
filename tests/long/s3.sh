# The storage suite on a real S3 engine. garage differs from moto, which tests/run uses, where it matters: it takes conditional puts
# and ignores the condition. It comes from crates.io, is built once into the cache, and runs as a program of its own (AGPL).
set -euo pipefail
cd "$ROOT"
version=2.5.0
home=$STATE/garage-$version
if [ ! -x "$home/bin/garage" ]; then
  # Ten minutes; `cargo install` goes on where it was cut off.
  CARGO_TARGET_DIR=$STATE/target cargo install "garage@$version" --locked --root "$home"
  rm -rf "$STATE/target"
fi

scratch=$(mktemp -d)
garage_pid=
end() {
  if [ -n "$garage_pid" ]; then
    kill "$garage_pid" 2>/dev/null || true
    wait "$garage_pid" 2>/dev/null || true
  fi
  rm -rf "$scratch"
}
trap end EXIT
trap 'exit 130' INT TERM

hex() { od -An -v -N"$1" -tx1 /dev/urandom | tr -d ' \n'; }
read -r rpc_port s3_port < <("$ISOCENTER_TEST_PYTHON" -c 'import socket
both = [socket.socket() for _ in range(2)]
for s in both: s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in both))')
cat >"$scratch/garage.toml" <<TOML
metadata_dir = "$scratch/meta"
data_dir = "$scratch/data"
db_engine = "sqlite"
replication_factor = 1
compression_level = "none"
rpc_bind_addr = "127.0.0.1:$rpc_port"
rpc_secret = "$(hex 32)"
[s3_api]
api_bind_addr = "127.0.0.1:$s3_port"
s3_region = "garage"
TOML
AWS_ACCESS_KEY_ID=GK$(hex 12) AWS_SECRET_ACCESS_KEY=$(hex 32)
export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_REGION=garage
export ISOCENTER_TEST_S3_ENDPOINT=http://127.0.0.1:$s3_port ISOCENTER_TEST_S3_BUCKET=isocenter-test
GARAGE_DEFAULT_ACCESS_KEY=$AWS_ACCESS_KEY_ID GARAGE_DEFAULT_SECRET_KEY=$AWS_SECRET_ACCESS_KEY \
  GARAGE_DEFAULT_BUCKET=$ISOCENTER_TEST_S3_BUCKET \
  "$home/bin/garage" -c "$scratch/garage.toml" server --single-node --default-bucket >"$scratch/garage.log" 2>&1 &
garage_pid=$!
# Ready when it answers 403 to somebody without a key.
for _ in $(seq 150); do
  [ "$(curl -s -o "$scratch/answer" -w '%{http_code}' "$ISOCENTER_TEST_S3_ENDPOINT/" || true)" != 403 ] || break
  kill -0 "$garage_pid" 2>/dev/null || { tail -n 20 "$scratch/garage.log"; exit 1; }
  sleep 0.2
done

cargo test --locked --package isocenter-storage --lib -- --show-output the_suite_holds_on_s3 | tee "$scratch/said"
probe=$(grep '^conditional put:' "$scratch/said")
echo "the storage suite holds on garage $version; $probe"
