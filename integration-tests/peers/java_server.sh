#!/usr/bin/env bash
# Starts Java's ZooKeeper server on a data directory, in the foreground; the process becomes the JVM, so that
# killing it kills the server.
#
#   java_server.sh 3.8|3.9.5 DATA_DIR PORT [key=value ...]
#
# The pairs go into zoo.cfg as they are: server.N lines (with a myid file in DATA_DIR) make it an ensemble member.
# TTL nodes and all four-letter words are on, the admin server is off.
# ZK_PEER_JVM_FLAGS adds flags, such as -Dzookeeper.snapCount=50.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=env.sh
. "$here/env.sh"

version=$1 data=$2 port=$3
shift 3
case $version in
  3.8) class_path=$ZK_PEER_ZOOKEEPER_CP ;;
  3.9.5) class_path=$ZK_PEER_ZOOKEEPER395_CP ;;
  *) echo "java_server.sh: unknown version $version" >&2; exit 2 ;;
esac

mkdir -p "$data"
# Beside version-2, where no server looks. Given pairs come last: the last value of a key wins.
{
  printf '%s\n' "dataDir=$data" "clientPort=$port" clientPortAddress=127.0.0.1 tickTime=500 initLimit=20 syncLimit=10 \
    maxClientCnxns=0 4lw.commands.whitelist='*' admin.enableServer=false extendedTypesEnabled=true
  [ $# -eq 0 ] || printf '%s\n' "$@"
} >"$data/zoo.cfg"

# shellcheck disable=SC2086 # ZK_PEER_JVM_FLAGS is a list
exec "$ZK_PEER_JAVA" -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
  -Dlog4j2.configurationFile="$here/log4j2.properties" -Dorg.slf4j.simpleLogger.defaultLogLevel=warn \
  ${ZK_PEER_JVM_FLAGS:-} -cp "$class_path" \
  org.apache.zookeeper.server.quorum.QuorumPeerMain "$data/zoo.cfg"
