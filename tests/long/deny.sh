# Licences, bans, sources and advisories of every dependency, by cargo-deny (.deny.toml). Long because it may have to be built.
set -euo pipefail
cd "$ROOT"
if ! command -v cargo-deny >/dev/null; then
  export PATH=$STATE/bin:$PATH
  [ -x "$STATE/bin/cargo-deny" ] || CARGO_TARGET_DIR=$STATE/target cargo install --locked --root "$STATE" cargo-deny
  rm -rf "$STATE/target"
fi
cargo deny --config .deny.toml check --hide-inclusion-graph bans licenses sources
# The advisory database comes over the network; a machine without one still checks the rest.
if cargo deny --config .deny.toml fetch db; then
  cargo deny --config .deny.toml check advisories
  echo "bans, licences, sources and advisories are good"
else
  echo "bans, licences and sources are good; advisories could not be fetched"
fi
