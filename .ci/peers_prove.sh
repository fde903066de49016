#!/usr/bin/env bash
# Runs each peer that .ci/peers.sh found, once: a Java server, zkCli, a Curator lock, Kazoo. For a look at a machine
# without building anything; integration-tests/tests/peers_selfcheck.rs is the thorough version.
set -euo pipefail
peers=$(cd "$(dirname "${BASH_SOURCE[0]}")/../integration-tests/peers" && pwd)
# shellcheck source=../integration-tests/peers/env.sh
. "$peers/env.sh"
: "${ZK_PEER_JAVA:?run .ci/peers.sh first}"
work=$(mktemp -d)
server=
cleanup() {
  [ -z "$server" ] || kill -9 "$server" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT

prove() { # VERSION ZOOKEEPER_CP CURATOR_CP
  local version=$1 zookeeper=$2 curator=$3 port opened acquired
  local quiet=(-Dlog4j2.configurationFile="$peers/log4j2.properties" -Dorg.slf4j.simpleLogger.defaultLogLevel=error)
  port=$("$ZK_PEER_PYTHON" -c 'import socket; print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])')
  "$peers/java_server.sh" "$version" "$work/$version" "$port" >"$work/$version.out" 2>&1 &
  server=$!
  # zkCli waits for the connection by itself.
  timeout 60 "$ZK_PEER_JAVA" "${quiet[@]}" -cp "$zookeeper" org.apache.zookeeper.ZooKeeperMain -waitforconnection \
    -server "127.0.0.1:$port" ls / 2>&1 | grep -q '^\[zookeeper\]'
  echo "ok $version: server, zkCli"
  # It ends with its input, so that stays open until it has answered.
  coproc peer { timeout 60 "$ZK_PEER_JAVA" "${quiet[@]}" -cp "$curator" "$peers/RecipePeer.java" 2>/dev/null; }
  printf '1 prover open 127.0.0.1:%s 10000\n2 prover acquire mutex /prove/curator 10000\n' "$port" >&"${peer[1]}"
  read -r opened <&"${peer[0]}"
  read -r acquired <&"${peer[0]}"
  case "$opened, $acquired" in "1 ok "*", 2 ok /prove/curator/"*) ;; *) echo "$opened, $acquired"; false ;; esac
  kill "$peer_PID"
  echo "ok $version: Curator's InterProcessMutex"
  timeout 60 "$ZK_PEER_PYTHON" - "127.0.0.1:$port" <<'PY'
import sys
from kazoo.client import KazooClient

client = KazooClient(hosts=sys.argv[1])
client.start()
client.create("/prove/kazoo", b"data", makepath=True)
assert client.get("/prove/kazoo")[0] == b"data"
client.stop()
PY
  echo "ok $version: Kazoo"
  kill -9 "$server"
  wait "$server" 2>/dev/null || true
  server=
}

prove 3.8 "$ZK_PEER_ZOOKEEPER_CP" "$ZK_PEER_CURATOR_CP"
[ -z "${ZK_PEER_ZOOKEEPER395_CP:-}" ] || prove 3.9.5 "$ZK_PEER_ZOOKEEPER395_CP" "$ZK_PEER_CURATOR59_CP"
