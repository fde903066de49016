//! What goes wrong, and when. Draws faults; what each does is the network's, the server's and the world's.

use std::time::Duration;

use super::draw::Draw;
use super::options::Options;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A connection is cut.
    Cut,
    /// Every connection of the server is cut.
    CutAll,
    /// A client and the server do not hear each other for a while.
    Partition,
    /// A client process stands still for a while.
    Pause,
    /// The server's machine loses power.
    Power,
    /// The server's process dies.
    Kill,
    /// A sync of the disk fails.
    SyncFails,
}

const FAULTS: [Fault; 7] =
    [Fault::Cut, Fault::CutAll, Fault::Partition, Fault::Pause, Fault::Power, Fault::Kill, Fault::SyncFails];

/// The next fault; `None` when this seed has none.
pub(crate) fn draw(draw: &mut Draw, options: &Options) -> Option<Fault> {
    let total: u64 = options.weights.iter().sum();
    let mut at = draw.below(total);
    for (fault, weight) in FAULTS.iter().zip(options.weights) {
        if at < weight {
            return Some(*fault);
        }
        at -= weight;
    }
    None
}

/// When the next fault comes.
pub(crate) fn wait(draw: &mut Draw, options: &Options) -> Duration {
    draw.between(options.fault / 10, options.fault)
}

/// How long a partition or a pause lasts: most end before a session does, some do not.
pub(crate) fn length(draw: &mut Draw, options: &Options) -> Duration {
    let most = if draw.chance(1, 3) { options.timeout * 3 } else { options.timeout };
    draw.between(Duration::from_millis(1), most)
}
