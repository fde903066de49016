//! What a lost connection means for an operation: the one table.
//!
//! | operation | fate |
//! |---|---|
//! | not sent yet | kept, in its place |
//! | sent, a read | sent again, in its place, if the operation or else the policy says so; not once it was in front of too many losses |
//! | sent, a write | fails: it may have happened |
//! | credentials | replayed before anything else on every connection, the operation kept |
//! | pings, re-arming, removals of watches | dropped, made anew |

use super::request::{Request, opcode};
use crate::limits::READ_LOSSES_MAX;

/// What becomes of an operation that was sent and not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Resend,
    Fail,
}

/// The fate of `request`, in front of `losses` lost connections by now.
pub(super) fn fate(request: &Request, losses: u32, resend_reads: bool) -> Fate {
    let again = match request {
        Request::Auth(_) => true,
        request => resend_reads && losses < READ_LOSSES_MAX && !opcode(request).is_write(),
    };
    if again { Fate::Resend } else { Fate::Fail }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zk_proto::ops::data::GetDataRequest;
    use zk_proto::ops::delete::DeleteRequest;

    #[test]
    fn reads_are_sent_again_and_writes_are_not() {
        let read = Request::GetData(GetDataRequest { path: "/a".into(), watch: false });
        let write = Request::Delete(DeleteRequest { path: "/a".into(), version: -1 });
        assert_eq!(fate(&read, 1, true), Fate::Resend);
        assert_eq!(fate(&read, 1, false), Fate::Fail);
        assert_eq!(fate(&read, READ_LOSSES_MAX, true), Fate::Fail);
        assert_eq!(fate(&write, 1, true), Fate::Fail);
    }
}
