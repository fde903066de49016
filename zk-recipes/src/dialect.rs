//! Dialects: whose names a lock's nodes carry, and so who waits for it.

use crate::contender::Prefix;
use crate::sequence::{
    curator_lock_prefix, curator_read_prefix, curator_write_prefix, kazoo_lock_prefix, kazoo_read_prefix,
};

/// Whose names our nodes carry. We wait for contenders of every dialect; the choice decides who waits for us.
///
/// No single name is read right by stock Curator and stock Kazoo both: Curator wants `lock-` before the number,
/// Kazoo `__lock__`. On one path, those two do not exclude each other, whatever we do.
///
/// | dialect | our nodes | stock Curator, go-zk | stock Kazoo |
/// |---|---|---|---|
/// | `Curator` | `_c_<uuid>-lock-<n>` | wait for us | does not, unless given `extra_lock_patterns=["-lock-"]` |
/// | `Kazoo` | `<32 hex>__lock__<n>` | Curator does not, go-zk does* | waits for us |
/// | `Both` | both, made and deleted together | wait for us* | waits for us |
///
/// (*) The older go-zk, `samuel/go-zookeeper`, knows no name but Curator's: its `Lock` fails beside any other.
///
/// For Curator and Kazoo to exclude each other as well, Kazoo must write Curator's names: a subclass with
/// `_NODE_NAME = "-lock-"` and `_EXCLUDE_NAMES = ["-lock-"]`. The extra pattern alone works one way only: Kazoo
/// waits for Curator, and Curator does not for Kazoo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Dialect {
    /// Curator's names. The default.
    #[default]
    Curator,
    /// Kazoo's names.
    Kazoo,
    /// A node in each, made in one transaction: every stock peer waits for us. Costs one node and one watch more.
    Both,
}

impl Dialect {
    /// The names of a mutex.
    pub(crate) fn mutex(self) -> Vec<Prefix> {
        self.choose(curator_lock_prefix, kazoo_lock_prefix)
    }

    /// The names of a reader.
    pub(crate) fn reader(self) -> Vec<Prefix> {
        self.choose(curator_read_prefix, kazoo_read_prefix)
    }

    /// The names of a writer.
    pub(crate) fn writer(self) -> Vec<Prefix> {
        self.choose(curator_write_prefix, kazoo_lock_prefix)
    }

    fn choose(self, curator: Prefix, kazoo: Prefix) -> Vec<Prefix> {
        match self {
            Self::Curator => vec![curator],
            Self::Kazoo => vec![kazoo],
            Self::Both => vec![curator, kazoo],
        }
    }
}
