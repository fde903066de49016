//! What a lost answer means to one who takes from a queue: the decisions alone, from what was read after a sync.

use zk_proto::SessionId;

use crate::loss::LossReason;

/// What became of an acknowledgement whose answer was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Done,
    NotDone,
    Lost(LossReason),
    Unknown,
}

/// Item and claim go together, and while the claim's session is `live` nobody who claims deletes the item: by whether
/// the item is there, and the very claim.
pub(super) const fn of_acknowledgement(item_there: bool, claim_there: bool, live: bool) -> Fate {
    match (item_there, claim_there) {
        (true, true) => Fate::NotDone,
        (true, false) => Fate::Lost(LossReason::SessionExpired),
        // The claim would have gone with the item: somebody else has deleted that.
        (false, true) => Fate::Lost(LossReason::NodeDeleted),
        (false, false) if live => Fate::Done,
        (false, false) => Fate::Unknown,
    }
}

/// Whether a claim that is there is the one that was made with this `mark`: the session alone does not tell, it may
/// have claimed the item before.
pub(super) fn is_ours(owner: SessionId, data: &[u8], session: SessionId, mark: &str) -> bool {
    owner == session && data == mark.as_bytes()
}
