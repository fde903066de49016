# Sourced by the shell scripts here: where the peers are. A ZK_PEER_* variable that is set already wins over
# peers.env, which .ci/peers.sh writes.
peers_env=${ZK_PEERS_DIR:-$HOME/.cache/zk-peers}/peers.env
if [ -e "$peers_env" ]; then
  while IFS='=' read -r key value; do
    [ -n "${!key:-}" ] || export "$key=$value"
  done <"$peers_env"
fi
