//! Watches as an application holds them. Which event concerns which of them is decided in the core.
//!
//! | file | what it owns |
//! |---|---|
//! | `once` | one event of one node, as a future |
//! | `stream` | all events of a node or a subtree, as a stream |
//! | `feed` | the bounded queue between the driver and a stream |
//! | `interest` | what every watch holds: dropping it tells the driver that nobody waits any more |

mod feed;
mod interest;
mod once;
mod stream;

pub use once::Watch;
pub use stream::{WatchItem, WatchStream};

pub(crate) use feed::{Feed, FeedEnd, feed};
pub(crate) use interest::{Interest, Registered};
pub(crate) use once::{Armed, WatchOutcome};

use zk_proto::{ErrorCode, EventType, Zxid};

use crate::core::{SessionEnd, WatchLost};
use crate::error::{Error, ErrorKind};

/// What happened to a watched node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedEvent {
    /// What happened.
    pub event_type: EventType,
    /// The node it happened to, or whose child list changed; without the chroot.
    pub path: String,
    /// The transaction that did it. `None` before ZooKeeper 3.9, and for what was missed while disconnected.
    pub zxid: Option<Zxid>,
}

/// The error that a watch of `path` ends with.
fn lost(why: WatchLost, path: String) -> Error {
    let error = match why {
        WatchLost::Ended(SessionEnd::Expired) => Error::new(ErrorKind::SessionExpired, "watch"),
        WatchLost::Ended(SessionEnd::AuthFailed) => Error::new(ErrorKind::AuthFailed, "watch"),
        WatchLost::Ended(SessionEnd::Closed) => Error::new(ErrorKind::Closed, "watch"),
        WatchLost::Removed => Error::new(ErrorKind::WatchRemoved, "watch"),
        WatchLost::Unsupported => Error::server(ErrorCode::Unimplemented, "watch")
            .with_detail("the server now connected knows no persistent watches; they need ZooKeeper 3.6"),
    };
    error.with_path(path)
}
