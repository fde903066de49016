//! The digest of a tree: the sum of a CRC-32 per node (ZooKeeper's version 2). Two servers whose trees have the
//! same digest after the same zxid agree. ACLs and everything below `/zookeeper` are left out.

use zk_proto::jute::Encode;
use zk_proto::stat::StatPersisted;

/// Whether the node takes part.
#[must_use]
pub fn counts(path: &str) -> bool {
    !path.starts_with("/zookeeper/")
}

/// One node's part; 0 for a node that does not take part.
#[must_use]
pub fn of_node(path: &str, data: Option<&[u8]>, stat: &StatPersisted) -> i64 {
    if !counts(path) {
        return 0;
    }
    let mut crc = crc32fast::Hasher::new();
    crc.update(if path == "/" { b"" } else { path.as_bytes() });
    crc.update(data.unwrap_or_default());
    crc.update(&block(stat));
    i64::from(crc.finalize())
}

/// The metadata in the digest's own order, which is not the snapshot's.
fn block(stat: &StatPersisted) -> [u8; 60] {
    let mut out = bytes::BytesMut::with_capacity(60);
    for long in [stat.czxid.0, stat.mzxid.0, stat.pzxid.0, stat.ctime, stat.mtime] {
        long.encode(&mut out);
    }
    for int in [stat.version, stat.cversion, stat.aversion] {
        int.encode(&mut out);
    }
    stat.ephemeral_owner.encode(&mut out);
    let mut block = [0; 60];
    block.copy_from_slice(&out);
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_tree_has_javas_digest() {
        let zero = StatPersisted::default();
        assert_eq!(of_node("/", None, &zero), 68_323_592);
        assert_eq!(of_node("/zookeeper", None, &zero), 1_303_661_912);
        assert_eq!(of_node("/zookeeper/quota", None, &zero), 0);
    }
}
