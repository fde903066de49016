#!/usr/bin/env bash
# Makes the golden files of zk-proto/tests/golden anew, from the peers that .ci/peers.sh found.
#
#   make_golden.sh [OUT]       default: zk-proto/tests/golden beside this crate
#
# Session ids, passwords and times differ from run to run, so only records*.txt come out the same. Tests that hold
# values from the other files have to follow. What each file is stands in the README there.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=env.sh
. "$here/env.sh"
out=${1:-$here/../../zk-proto/tests/golden}
mkdir -p "$out/disk"
work=$(mktemp -d)
server=
trap 'stop; rm -rf "$work"' EXIT

# Fixed language and zone: Java's log reader prints dates.
quiet=(-XX:TieredStopAtLevel=1 -Dfile.encoding=UTF-8 -Duser.language=en -Duser.timezone=UTC -Dlog4j2.configurationFile="$here/log4j2.properties" \
  -Dorg.slf4j.simpleLogger.defaultLogLevel=error)

java_run() { # VERSION_CP FILE ARGS...
  local class_path=$1 file=$2
  shift 2
  "$ZK_PEER_JAVA" "${quiet[@]}" -cp "$class_path" "$here/$file" "$@"
}

start() { # VERSION DIR [key=value ...]
  local version=$1 dir=$2
  shift 2
  port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
  "$here/java_server.sh" "$version" "$dir" "$port" "$@" >>"$work/server.out" 2>&1 &
  server=$!
  for _ in $(seq 200); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$port" && printf srvr >&3 && grep -q Mode: <&3) 2>/dev/null; then return; fi
    sleep 0.1
  done
  cat "$work/server.out" >&2
  exit 1
}

# Without a goodbye, so that the directory is what a crash leaves.
stop() {
  [ -n "$server" ] || return 0
  kill -9 "$server" && wait "$server" 2>/dev/null || true
  server=
}

# The server preallocates 64 MiB of zeros. 1 KiB of them shows a reader the same end.
copy_log() { # FROM TO
  python3 -c '
import sys
with open(sys.argv[1], "rb") as source, open(sys.argv[2], "wb") as target:
    target.write(source.read().rstrip(b"\0") + bytes(1024))' "$1" "$2"
}

# The newest snapshot, under its own name.
copy_snapshot() { # DIR TO
  local newest
  newest=$(ls -t "$1"/version-2/snapshot.* | head -n 1)
  cp "$newest" "$2/"
}

golden() { # VERSION VERSION_CP
  local version=$1 class_path=$2
  start "$version" "$work/talk-$version"
  python3 "$here/capture_session.py" "127.0.0.1:$port" "$out/session-$version.txt" \
    "$ZK_PEER_JAVA" "${quiet[@]}" -cp "$class_path" "$here/TalkSession.java" '{hosts}'
  stop

  local data=$work/data-$version disk=$out/disk/$version
  rm -rf "$disk"
  mkdir -p "$disk"
  start "$version" "$data"
  java_run "$class_path" WriteDataDir.java "127.0.0.1:$port" 1
  stop
  copy_log "$data/version-2/log.1" "$disk/log.1"
  cp "$data/version-2/snapshot.0" "$disk/"
  # A starting server replays its log and writes a snapshot of what it found, before anything else happens.
  start "$version" "$data"
  copy_snapshot "$data" "$disk"
  java_run "$class_path" DumpTree.java "127.0.0.1:$port" >"$disk/tree.txt"
  stop
  # The same tree, later by the session that dumped it, in the two compressed forms.
  start "$version" "$data" snapshot.compression.method=gz
  copy_snapshot "$data" "$disk"
  java_run "$class_path" DumpTree.java "127.0.0.1:$port" >"$work/again.txt"
  stop
  cmp "$disk/tree.txt" "$work/again.txt"
  start "$version" "$data" snapshot.compression.method=snappy
  copy_snapshot "$data" "$disk"
  stop
  # Java's own reading of the log.
  "$ZK_PEER_JAVA" "${quiet[@]}" -cp "$class_path" org.apache.zookeeper.server.persistence.TxnLogToolkit \
    -d "$disk/log.1" >"$disk/log.1.txt"
}

java_run "$ZK_PEER_ZOOKEEPER_CP" GoldenBytes.java >"$out/records.txt"
golden 3.8 "$ZK_PEER_ZOOKEEPER_CP"
if [ -n "${ZK_PEER_ZOOKEEPER395_CP:-}" ]; then
  # Only what 3.8 has not, or encodes otherwise.
  java_run "$ZK_PEER_ZOOKEEPER395_CP" GoldenBytes.java | grep -Fxv -f "$out/records.txt" >"$out/records3.9.txt"
  golden 3.9.5 "$ZK_PEER_ZOOKEEPER395_CP"
fi
