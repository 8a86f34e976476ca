# The peers and servers that tests stand on: Python environment, a PostgreSQL and an S3 of our own.
# Sourced by tests/run after deploy/prerequisites.sh. All servers listen on loopback only and end with the script, by their ids.
# shellcheck shell=bash

# What the tests call beside what building needs. A missing tool is a failure of the tests, never a skip.
TEST_PACKAGES=(curl dcmtk dicom3tools postgresql-15 postgresql-client-15 procps python3 python3-venv sqlite3 strace util-linux)

# prepare_python: a virtual environment with the pinned peers, in the cache when there is one.
prepare_python() {
  local wanted=$root/tests/requirements.txt cache home stamp
  cache=$(cache_dir)
  stamp=$({ python3 --version; cat "$wanted"; } | sha256sum | cut -c 1-12)
  home=${cache:-$root/tests/.cache}/python-$stamp
  if [ ! -e "$home/complete" ]; then
    say "Preparing the Python environment of the tests"
    rm -rf "$home"
    mkdir -p "$(dirname "$home")"
    python3 -m venv "$home"
    "$home/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$wanted" >&2
    touch "$home/complete"
  fi
  export ISOCENTER_TEST_PYTHON=$home/bin/python
}

free_port() {
  "$ISOCENTER_TEST_PYTHON" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# PostgreSQL refuses to run as root. A prefix and not a function, so that `$!` is the server itself: each link of it executes
# the next one in the same process.
as_postgres=()
if [ "$(id -u)" = 0 ]; then
  as_postgres=(setpriv --reuid postgres --regid postgres --clear-groups)
fi

# start_postgres: a private cluster below $scratch; its socket lies there too. Sets ISOCENTER_TEST_POSTGRES_URL.
start_postgres() {
  local bin port home=$scratch/postgres password log=$scratch/postgres.log
  bin=$(find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)
  [ -x "${bin:-}/initdb" ] || { say "PostgreSQL's initdb is not where Debian puts it"; return 1; }
  mkdir -p "$home"
  touch "$log"
  password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  printf '%s\n' "$password" >"$scratch/postgres.password"
  if [ "$(id -u)" = 0 ]; then chown postgres "$home" "$log" "$scratch/postgres.password"; fi
  ${as_postgres[@]+"${as_postgres[@]}"} "$bin/initdb" -D "$home/data" -U isocenter -E UTF8 --locale C.UTF-8 -A scram-sha-256 \
    --pwfile "$scratch/postgres.password" >"$scratch/initdb.log" 2>&1 || { cat "$scratch/initdb.log" >&2; return 1; }
  port=$(free_port)
  # No fsync: the tests kill the archive, never this database, and its files live as long as this script.
  ${as_postgres[@]+"${as_postgres[@]}"} "$bin/postgres" -D "$home/data" -p "$port" -k "$home" \
    -c listen_addresses=127.0.0.1 -c fsync=off -c full_page_writes=off -c max_connections=300 >>"$log" 2>&1 &
  postgres_pid=$!
  for _ in $(seq 150); do
    if ${as_postgres[@]+"${as_postgres[@]}"} "$bin/pg_isready" -q -h 127.0.0.1 -p "$port"; then
      export ISOCENTER_TEST_POSTGRES_URL=postgres://isocenter:$password@127.0.0.1:$port/postgres
      return 0
    fi
    kill -0 "$postgres_pid" 2>/dev/null || break
    sleep 0.2
  done
  tail -n 20 "$log" >&2
  return 1
}

# start_s3: moto on a free port, with the bucket that the tests share. Sets ISOCENTER_TEST_S3_ENDPOINT and _BUCKET.
start_s3() {
  local port
  port=$(free_port)
  "$(dirname "$ISOCENTER_TEST_PYTHON")/moto_server" -H 127.0.0.1 -p "$port" >"$scratch/moto.log" 2>&1 &
  moto_pid=$!
  if ! "$ISOCENTER_TEST_PYTHON" - "http://127.0.0.1:$port/isocenter-test" <<'PYTHON'
import sys, time, urllib.error, urllib.request
for attempt in range(150):
    try:
        urllib.request.urlopen(urllib.request.Request(sys.argv[1], method="PUT"), timeout=5)
        sys.exit(0)
    except (urllib.error.URLError, OSError) as error:
        last = error
        time.sleep(0.2)
sys.exit(f"no bucket: {last}")
PYTHON
  then
    tail -n 20 "$scratch/moto.log" >&2
    return 1
  fi
  export ISOCENTER_TEST_S3_ENDPOINT=http://127.0.0.1:$port ISOCENTER_TEST_S3_BUCKET=isocenter-test
}

# stop PID [SIGNAL]: ends one process and waits for it.
stop() {
  [ -n "${1:-}" ] || return 0
  kill -s "${2:-TERM}" "$1" 2>/dev/null || return 0
  wait "$1" 2>/dev/null || true
}

end_environment() {
  # INT is PostgreSQL's fast shutdown.
  stop "${postgres_pid:-}" INT
  stop "${moto_pid:-}"
  [ -z "${scratch:-}" ] || rm -rf "$scratch"
}
