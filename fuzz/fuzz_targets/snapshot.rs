//! A snapshot: reading it ends, and what was read is written in a way that reads the same. An even first byte takes
//! the rest as the file, an odd one as what is between header and seal.
#![no_main]

use bytes::Bytes;
use zk_proto::storage::snapshot::{self, SnapshotReader, SnapshotWriter};
use zk_proto::{DecodeError, Zxid};

fn nodes(r: &mut SnapshotReader) -> Result<Vec<(String, snapshot::SnapshotNode)>, DecodeError> {
    let mut nodes = Vec::new();
    while let Some(node) = r.node()? {
        nodes.push(node);
    }
    Ok(nodes)
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((&sealed, rest)) = input.split_first() else { return };
    let file = if sealed % 2 == 1 { zk_fuzz::sealed_snapshot(rest) } else { Bytes::copy_from_slice(rest) };
    let _ = snapshot::looks_complete(&file);
    let Ok(mut reader) = SnapshotReader::new(file) else { return };
    let (sessions, acls) = (reader.sessions.clone(), reader.acls.clone());
    let Ok(read) = nodes(&mut reader) else { return };
    let Ok(end) = reader.end() else { return };

    let mut writer = SnapshotWriter::new(&sessions, &acls);
    for (path, node) in &read {
        writer.node(path, node.data.as_deref(), node.acl_id, &node.stat);
    }
    writer.finish(end.digest.as_ref(), end.last_zxid.unwrap_or(Zxid::ZERO));
    let mut again = SnapshotReader::new(writer.take()).expect("a header we wrote");
    assert_eq!((&again.sessions, &again.acls), (&sessions, &acls));
    assert_eq!(nodes(&mut again).as_ref(), Ok(&read));
    let ended = again.end().expect("seals we wrote");
    assert_eq!(ended.digest, end.digest);
});
