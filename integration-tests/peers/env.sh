# Sourced by the shell scripts here: where the peers are. A ZK_PEER_* variable that is set already wins over
# peers.env, which .ci/peers.sh writes.
while IFS='=' read -r key value; do
  [ -n "${!key:-}" ] || export "$key=$value"
done <"${ZK_PEERS_DIR:-$HOME/.cache/zk-peers}/peers.env"
