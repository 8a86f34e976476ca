# What deploy/run and tests/run both need of a machine: Debian packages, a Rust toolchain, a place for what is built.
# Sourced by bash, never run. Quick and silent when all is there; never asks a question.
# shellcheck shell=bash

# Debian packages that building needs (C and C++ parts of SQLite, OpenJPEG, CharLS, ring and Faiss).
BUILD_PACKAGES=(build-essential ca-certificates cmake g++ libopenblas-dev liblapack-dev pkg-config)

# What is used where it is installed and needed by nothing: it reads the text that a search of pixels finds.
# shellcheck disable=SC2034  # for who sources this
TEXT_PACKAGES=(tesseract-ocr tesseract-ocr-eng tesseract-ocr-chi-sim)

say() { printf '%s\n' "$*" >&2; }

# require_packages PACKAGE...: installs what is missing; without root prints the one line to run and ends with 3.
require_packages() {
  local package missing=()
  if ! command -v dpkg-query >/dev/null; then
    say "This script installs Debian packages. On another system, see to these yourself: $*"
    return 0
  fi
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ]; then
    # One line and nothing else, so that it can be run as it is printed.
    say "sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]} # then start this again"
    exit 3
  fi
  say "Installing ${missing[*]}"
  local log policy=/usr/sbin/policy-rc.d made_policy=
  log=$(mktemp)
  # A service that comes with a package (PostgreSQL, say) is not ours to start: we run our own, on our own ports.
  if [ ! -e "$policy" ] && printf '#!/bin/sh\nexit 101\n' >"$policy" 2>/dev/null; then
    chmod 755 "$policy"
    made_policy=yes
  fi
  local failed=
  { DEBIAN_FRONTEND=noninteractive apt-get -q update &&
    DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 </dev/null || failed=yes
  [ -z "$made_policy" ] || rm -f "$policy"
  if [ -n "$failed" ]; then
    tail -n 20 "$log" >&2
    say "apt-get failed; its whole output is in $log"
    exit 3
  fi
  rm -f "$log"
}

# require_rust: puts cargo on the path, at least as new as the workspace asks.
require_rust() {
  command -v cargo >/dev/null || [ ! -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ] || PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
  local wanted have
  wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$1/Cargo.toml" | head -n 1)
  if ! command -v cargo >/dev/null || ! have=$(rustc --version 2>/dev/null | awk '{print $2}'); then
    say "A Rust toolchain is needed, version $wanted or newer: install one with rustup, then start again."
    exit 3
  fi
  if [ "$(printf '%s\n%s\n' "$wanted" "$have" | sort -V | head -n 1)" != "$wanted" ]; then
    say "Rust $have is too old: version $wanted or newer is needed (rustup update)."
    exit 3
  fi
}

# cache_dir: prints a folder outside the clone that keeps what is built, if there is one. Nothing depends on it.
cache_dir() {
  local dir
  for dir in "${ISOCENTER_CACHE:-}" "$HOME/.cache/isocenter"; do
    if [ -n "$dir" ] && [ -d "$dir" ] && [ -w "$dir" ]; then
      printf '%s\n' "$dir"
      return 0
    fi
  done
  return 0
}

# choose_target_dir: lets cargo build in the cache, unless the caller chose a folder.
choose_target_dir() {
  local cache
  cache=$(cache_dir)
  if [ -z "${CARGO_TARGET_DIR:-}" ] && [ -n "$cache" ]; then
    export CARGO_TARGET_DIR="$cache/target"
  fi
}
