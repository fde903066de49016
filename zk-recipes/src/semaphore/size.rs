//! How many permits there are: a number, a node that is shared with Curator's `SharedCount`, or what Kazoo has written
//! to the semaphore's own node. Knows the encodings; sends nothing.

use bytes::Bytes;

use crate::error::Error;

/// Where the number of permits is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SizeSource {
    /// Nowhere but here.
    Fixed(u32),
    /// In the data of this node, as Curator's `SharedCount` writes it: four bytes, big endian.
    Counted(String),
    /// In the data of the semaphore's node, as text: it must be this.
    Agreed { path: String, size: u32 },
}

impl SizeSource {
    /// The number, if nobody needs to be asked.
    pub(super) const fn fixed(&self) -> Option<u32> {
        match self {
            Self::Fixed(size) => Some(*size),
            _ => None,
        }
    }

    /// The number, if it does not change.
    pub(super) const fn known(&self) -> Option<u32> {
        match self {
            Self::Fixed(size) | Self::Agreed { size, .. } => Some(*size),
            Self::Counted(_) => None,
        }
    }

    /// Where it is read.
    pub(super) fn path(&self) -> &str {
        match self {
            Self::Fixed(_) => "",
            Self::Counted(path) | Self::Agreed { path, .. } => path,
        }
    }

    /// What a leases' node is made with.
    pub(super) fn parent_data(&self) -> Bytes {
        match self {
            Self::Agreed { size, .. } => size.to_string().into(),
            _ => Bytes::new(),
        }
    }

    /// What the node's data says; `None` is no node. A count below zero is none at all.
    pub(super) fn read(&self, data: Option<&[u8]>) -> Result<u32, Error> {
        match (self, data) {
            (Self::Fixed(size), _) => Ok(*size),
            (Self::Counted(path), None) => Err(Error::Mismatch {
                path: path.clone(),
                found: "no node".into(),
                expected: "a shared count that says how many permits there are".into(),
            }),
            (Self::Counted(path), Some(data)) => match <[u8; 4]>::try_from(data) {
                Ok(bytes) => Ok(u32::try_from(i32::from_be_bytes(bytes)).unwrap_or(0)),
                Err(_) => {
                    let why = format!("a shared count has 4 bytes, and this has {}", data.len());
                    Err(Error::Corrupted { path: path.clone(), why })
                }
            },
            // Whoever comes first writes it.
            (Self::Agreed { size, .. }, None) => Ok(*size),
            (Self::Agreed { path, size }, Some(data)) => {
                // What is no number is somebody else's business, as Kazoo has it; and so is nothing, for Kazoo makes
                // the node before it writes to it.
                let text = std::str::from_utf8(data).map(str::trim).unwrap_or_default();
                match text.parse::<i64>() {
                    Ok(found) if found != i64::from(*size) => Err(Error::Mismatch {
                        path: path.clone(),
                        found: format!("{found} permits"),
                        expected: format!(
                            "{size}: all who share it must agree, and it changes by deleting the node"
                        ),
                    }),
                    _ => Ok(*size),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_count_has_four_bytes() {
        let count = SizeSource::Counted("/n".into());
        assert_eq!(count.read(Some(&[0, 0, 1, 2])).unwrap(), 258);
        assert_eq!(count.read(Some(&[0xff, 0xff, 0xff, 0xfe])).unwrap(), 0, "-2");
        assert!(matches!(count.read(Some(b"")), Err(Error::Corrupted { .. })));
        assert!(matches!(count.read(Some(b"12345")), Err(Error::Corrupted { .. })));
        assert!(matches!(count.read(None), Err(Error::Mismatch { .. })));
    }

    #[test]
    fn kazoos_number_is_agreed_on() {
        let agreed = SizeSource::Agreed { path: "/s".into(), size: 3 };
        assert_eq!(&agreed.parent_data()[..], b"3");
        for data in [None, Some(&b"3"[..]), Some(b""), Some(b"something else"), Some(b"\xff\x00")] {
            assert_eq!(agreed.read(data).unwrap(), 3);
        }
        for data in [&b"2"[..], b"-3", b" 4 "] {
            assert!(matches!(agreed.read(Some(data)), Err(Error::Mismatch { .. })));
        }
    }
}
