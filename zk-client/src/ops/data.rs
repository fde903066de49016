//! What reads return.

use bytes::Bytes;
use zk_proto::Stat;

use crate::limits::COPY_BYTES_MAX;

/// A node's data and stat, of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Node {
    /// The data; null reads as empty.
    pub data: Bytes,
    /// The stat.
    pub stat: Stat,
}

/// A node's children, of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Children {
    /// Their names, in no order.
    pub names: Vec<String>,
    /// The node's stat.
    pub stat: Stat,
}

/// Null is empty, and what is small is copied so that keeping it does not pin the buffer it was read into.
pub(crate) fn detach(data: Option<Bytes>) -> Bytes {
    match data {
        Some(data) if data.len() <= COPY_BYTES_MAX => Bytes::copy_from_slice(&data),
        Some(data) => data,
        None => Bytes::new(),
    }
}
