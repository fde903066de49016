#!/usr/bin/env bash
# Java's command line client (ZooKeeperMain) against any server: runs a fixed list of commands and looks for what
# each must print.
#
#   zkcli_script.sh HOSTS [3.8|3.9.5]
#
# Prints `ok <name>` per check; shows the output and exits non-zero at the first that fails. A check is one zkCli
# session, that is one JVM, fed through stdin; ephemeral nodes and addauth last that long.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=env.sh
. "$here/env.sh"

hosts=$1
class_path=$ZK_PEER_ZOOKEEPER_CP
[ "${2:-3.8}" = 3.8 ] || class_path=$ZK_PEER_ZOOKEEPER395_CP
root=/zkcli-$$-$RANDOM

# Runs the commands on stdin in one session. Errors of commands go to stderr in Java: read as one stream.
zkcli() {
  timeout 60 "$ZK_PEER_JAVA" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
    -Dlog4j2.configurationFile="$here/log4j2.properties" -Dorg.slf4j.simpleLogger.defaultLogLevel=error \
    -cp "$class_path" org.apache.zookeeper.ZooKeeperMain -waitforconnection -server "$hosts" 2>&1 || true
}

# check NAME COMMANDS PATTERN...: every extended regular expression must match some line of the output.
check() {
  local name=$1 commands=$2 output pattern
  shift 2
  # At the end of stdin zkCli leaves without closing its session; quit closes it, and ephemerals go at once.
  output=$(zkcli <<<"$commands"$'\nquit')
  for pattern in "$@"; do
    if ! grep -Eq -- "$pattern" <<<"$output"; then
      printf 'FAILED %s: nothing matches: %s\n%s\n' "$name" "$pattern" "$output"
      exit 1
    fi
  done
  echo "ok $name"
}

check create "create $root top
create $root/a one
create -s $root/s- data
create -s $root/s- data
create -c $root/container
create $root/a again
create $root/missing/child x" \
  "Created $root\$" "Created $root/a\$" "Created $root/s-0000000001\$" "Created $root/s-0000000002\$" \
  "Created $root/container\$" "Node already exists: $root/a" "Node does not exist: $root/missing/child"

check create_ephemeral "create -e $root/e gone
stat $root/e
create $root/e/child x
create -e -s $root/es- gone" \
  "Created $root/e\$" 'ephemeralOwner = 0x[1-9a-f]' 'Ephemerals cannot have children' "Created $root/es-0000000005\$"

check ephemeral_gone "ls $root" '^\[a, container, s-0000000001, s-0000000002\]'

check ls "ls -s $root
ls -R $root
ls $root/missing" \
  'numChildren = 4' '^cversion = 8' "^$root/s-0000000002\$" "Node does not exist: $root/missing"

check get "get $root/a
get -s $root/a
get $root/missing" \
  '^one$' '^dataVersion = 0$' '^dataLength = 3$' "Node does not exist: $root/missing"

check set "set -s $root/a three
set -v 0 $root/a stale
set -v 1 $root/a four
get $root/a" \
  '^dataVersion = 1$' '^dataLength = 5$' 'version No is not valid' '^four$'

check stat "stat $root/a" \
  '^cZxid = 0x[0-9a-f]+$' '^mZxid = 0x[0-9a-f]+$' '^dataVersion = 2$' '^aclVersion = 0$' '^ephemeralOwner = 0x0$'

check watch "get -w $root/a
set $root/a five" \
  'WatchedEvent state:SyncConnected type:NodeDataChanged path:'"$root/a"

check acl "getAcl $root/a
addauth digest bob:secret
setAcl -s $root/a auth:bob:secret:cdrwa
getAcl $root/a" \
  "'world,'anyone" ': cdrwa' '^aclVersion = 1$' "'digest,'bob:"

check acl_stranger "get $root/a
addauth digest bob:wrong
set $root/a x" \
  "Insufficient permission : $root/a"

check acl_owner "addauth digest bob:secret
get $root/a
setAcl $root/a world:anyone:cdrwa" '^five$'

check delete "delete $root
delete -v 9 $root/a
delete $root/a
delete $root/a" \
  "Node not empty: $root" 'version No is not valid' "Node does not exist: $root/a"

check deleteall "deleteall $root
ls $root" "Node does not exist: $root"
