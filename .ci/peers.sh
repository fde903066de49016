#!/usr/bin/env bash
# Installs the real peers that the interop tests talk to, and says where they are.
#
#   .ci/peers.sh                 Apache ZooKeeper 3.8 and Curator 5.4 (apt), Kazoo (PyPI, in a venv)
#   ZK_PEERS_395=1 .ci/peers.sh  also ZooKeeper 3.9.5 and Curator 5.9, lifted out of the pyspark package
#   ZK_PEERS_KERBEROS=1 .ci/peers.sh  also a KDC's programs, and what the feature gssapi needs to build (apt)
#
# Idempotent and silent about what is already there. Writes $ZK_PEERS_DIR/peers.env (KEY=VALUE lines, read by
# integration-tests/src/peers.rs) and prints it. Starts nothing: .ci/peers_prove.sh runs what was found.
set -euo pipefail

DIR=${ZK_PEERS_DIR:-$HOME/.cache/zk-peers}
# The release that carries ZooKeeper 3.9.5 and Curator 5.9.0. Another release carries other versions.
PYSPARK=4.3.0
KAZOO=2.11.0
JARS395=$DIR/jars-3.9.5
ENV_FILE=$DIR/peers.env

case $DIR in *[[:space:]:]*) echo "ZK_PEERS_DIR may hold no blank or colon: $DIR" >&2; exit 2 ;; esac
mkdir -p "$DIR"

say() { echo "peers: $*" >&2; }

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

installed() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }

# --- apt -------------------------------------------------------------------------------------------------------
# `zookeeper` is the jars and the shell tools. The daemon is another package (zookeeperd), not wanted here.
want=()
for package in zookeeper libcurator-recipes-java libslf4j-java; do
  installed "$package" || want+=("$package")
done
command -v javac >/dev/null || want+=(default-jdk-headless)
command -v python3 >/dev/null || want+=(python3)
# Debian's python3 comes without ensurepip; any other python3 brings its own.
python3 -c 'import ensurepip' 2>/dev/null || want+=(python3-venv)
if [ "${ZK_PEERS_KERBEROS:-0}" = 1 ]; then
  for package in krb5-kdc krb5-admin-server krb5-user libkrb5-dev libclang-dev pkg-config; do
    installed "$package" || want+=("$package")
  done
fi
if [ ${#want[@]} -gt 0 ]; then
  command -v apt-get >/dev/null || { say "no apt-get here; missing: ${want[*]}"; exit 1; }
  say "installing ${want[*]}"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${want[@]}" >"$DIR/apt.out" 2>&1 ||
    { tail -n 20 "$DIR/apt.out" >&2; exit 1; }
fi

# --- Kazoo -----------------------------------------------------------------------------------------------------
if ! "$DIR/venv/bin/python" -c 'import kazoo' 2>/dev/null; then
  say "installing kazoo $KAZOO"
  python3 -m venv "$DIR/venv"
  "$DIR/venv/bin/python" -m pip install -q --disable-pip-version-check "kazoo==$KAZOO"
fi

# --- ZooKeeper 3.9.5 and Curator 5.9.0 --------------------------------------------------------------------------
# Maven Central is not always reachable from where the tests run; PyPI is. Of 450 MB only the listed jars are kept.
# (Not logback: Spark binds slf4j to log4j2, and so do we.)
KEEP395='zookeeper|zookeeper-jute|curator-(client|framework|recipes)|guava|failureaccess|listenablefuture|slf4j-api|log4j-(api|core|slf4j2-impl)|netty-(buffer|codec|codec-base|common|handler|resolver|transport|transport-native-epoll|transport-classes-epoll|transport-native-unix-common)|metrics-core|snappy-java|commons-(cli|io)|jackson-(annotations|core|databind)|audience-annotations'
if [ "${ZK_PEERS_395:-0}" = 1 ] && [ ! -e "$JARS395/.complete" ]; then
  say "fetching pyspark $PYSPARK (450 MB) for the 3.9.5 jars"
  work=$(mktemp -d "$DIR/pyspark.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  # pip unpacks the package to read its metadata: give it room beside the result, not in /tmp.
  TMPDIR=$work python3 -m pip download -q --disable-pip-version-check --no-cache-dir --no-deps --no-binary pyspark \
    -d "$work" "pyspark==$PYSPARK"
  python3 - "$work"/pyspark-*.tar.gz "$JARS395" "$KEEP395" <<'PY'
"""Copies the jars whose base name (without version) matches the pattern out of the archive, in one pass."""
import os, re, shutil, sys, tarfile

archive, out, keep = sys.argv[1:]
pattern = re.compile(rf"^(?:{keep})-\d.*\.jar$")
os.makedirs(out, exist_ok=True)
with tarfile.open(archive, "r|gz") as tar:
    for member in tar:
        name = os.path.basename(member.name)
        if "/jars/" in member.name and pattern.match(name):
            with tar.extractfile(member) as source, open(os.path.join(out, name), "wb") as target:
                shutil.copyfileobj(source, target)
PY
  rm -rf "$work"
  trap - EXIT
  for jar in zookeeper-3.9.5 zookeeper-jute-3.9.5 curator-recipes-5.9.0; do
    [ -e "$JARS395/$jar.jar" ] || { say "pyspark $PYSPARK has no $jar.jar"; exit 1; }
  done
  touch "$JARS395/.complete"
fi

# --- class paths -----------------------------------------------------------------------------------------------
# Debian names a jar's dependencies in its manifest. Following them here gives a plain list that shows what is used.
class_path() {
  python3 - "$@" <<'PY'
import os, sys, zipfile

seen, queue = [], list(sys.argv[1:])
while queue:
    jar = queue.pop(0)
    if jar in seen or not os.path.exists(jar):
        continue
    seen.append(jar)
    with zipfile.ZipFile(jar) as archive:
        try:
            manifest = archive.read("META-INF/MANIFEST.MF").decode()
        except KeyError:
            continue
    # A manifest line longer than 72 bytes goes on in the next line, after one blank.
    for line in manifest.replace("\r\n", "\n").replace("\n ", "").split("\n"):
        if line.startswith("Class-Path:"):
            queue += [os.path.join(os.path.dirname(jar), entry) for entry in line.split()[1:]]
print(":".join(seen))
PY
}

# slf4j-simple, so that a system property sets the level and no configuration file is needed.
J=/usr/share/java
# The manifest of zookeeper.jar forgets what Netty needs of itself; only a TLS port notices.
NETTY="$J/netty-codec.jar $J/netty-resolver.jar $J/netty-transport-native-unix-common.jar"
# shellcheck disable=SC2086 # NETTY is a list
ZOOKEEPER_CP=$(class_path $J/zookeeper.jar $J/slf4j-simple.jar $NETTY)
# shellcheck disable=SC2086
CURATOR_CP=$(class_path $J/curator-recipes.jar $J/curator-framework.jar $J/curator-client.jar $J/zookeeper.jar $J/slf4j-simple.jar \
  $NETTY)
for jar in zookeeper zookeeper-jute slf4j-simple curator-recipes guava; do
  case ":$CURATOR_CP:" in *":$J/$jar.jar:"*) ;; *) say "not found: $J/$jar.jar"; exit 1 ;; esac
done

{
  echo "ZK_PEER_JAVA=$(command -v java)"
  echo "ZK_PEER_JAVAC=$(command -v javac)"
  echo "ZK_PEER_PYTHON=$DIR/venv/bin/python"
  echo "ZK_PEER_ZOOKEEPER_CP=$ZOOKEEPER_CP"
  echo "ZK_PEER_CURATOR_CP=$CURATOR_CP"
  if [ -e "$JARS395/.complete" ]; then
    jars=$(printf '%s\n' "$JARS395"/*.jar)
    echo "ZK_PEER_ZOOKEEPER395_CP=$(grep -Ev '/(curator|guava|failureaccess)[^/]*$' <<<"$jars" | paste -sd:)"
    echo "ZK_PEER_CURATOR59_CP=$(paste -sd: <<<"$jars")"
  fi
} >"$ENV_FILE.tmp"
# In one step: a test that starts meanwhile reads the old file or the new one.
mv "$ENV_FILE.tmp" "$ENV_FILE"
cat "$ENV_FILE"
