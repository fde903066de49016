//! What goes wrong, and when. Draws faults; what each does is the stage's and the conductor's.

use std::time::Duration;

use super::conditions::Conditions;
use crate::sim::Draw;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// A connection is cut.
    Cut,
    /// Every connection is cut.
    CutAll,
    /// The next write of a process does not arrive, and its connection is gone.
    LostRequest,
    /// The next write of a process arrives, its reply does not, and the connection is gone.
    LostReply,
    /// A process and the server do not hear each other for a while; nobody is told.
    Silence,
    /// A process stands still for a while.
    StandStill,
    /// A process is killed, and another begins in its place.
    Kill,
    /// The server's machine loses power.
    Power,
    /// The server's process dies.
    ServerDies,
    /// A sync of the server's disk fails.
    SyncFails,
}

pub(super) const FAULTS: [Fault; 10] = [
    Fault::Cut,
    Fault::CutAll,
    Fault::LostRequest,
    Fault::LostReply,
    Fault::Silence,
    Fault::StandStill,
    Fault::Kill,
    Fault::Power,
    Fault::ServerDies,
    Fault::SyncFails,
];

/// The next fault; `None` when there are none here.
pub(super) fn draw(draw: &mut Draw, conditions: &Conditions) -> Option<Fault> {
    let total: u64 = conditions.weights.iter().sum();
    let mut at = draw.below(total);
    for (fault, weight) in FAULTS.iter().zip(conditions.weights) {
        if at < weight {
            return Some(*fault);
        }
        at -= weight;
    }
    None
}

/// When the next fault comes.
pub(super) fn wait(draw: &mut Draw, conditions: &Conditions) -> Duration {
    draw.between(conditions.fault / 10, conditions.fault)
}

/// How long silence or standing still lasts: most end before a session does, some do not.
pub(super) fn length(draw: &mut Draw, conditions: &Conditions) -> Duration {
    let most = if draw.chance(1, 3) { conditions.timeout * 3 } else { conditions.timeout };
    draw.between(Duration::from_millis(1), most)
}
