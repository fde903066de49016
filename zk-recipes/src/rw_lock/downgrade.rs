//! The decisions of a downgrade: a writer's way to a reader's node, through lost answers. Pure: what was answered
//! comes in, what to do comes out.
//!
//! The reader's nodes are created in one transaction that checks the writer's, so they are there only if nobody
//! else was let in until then; and only after that the writer's are deleted. A queued writer finds one of the two
//! before it at every moment (CURATOR-276, CURATOR-621).

use zk_proto::SessionId;

use crate::contender::{Refusal, Seen};

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// One transaction: check that the writer's nodes are there, and create the reader's.
    Create,
    /// Sync, then look for the reader's node. What is not there after that never will be.
    Look,
    /// Wait a moment, or until the connection is back; then go on with [`Told::Rested`].
    Rest,
    /// The reader's nodes are there: hold by them, and delete the writer's.
    Done,
    /// What the writer held is lost.
    Lost,
    /// The server refused.
    Refused,
}

/// What has happened.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Told {
    /// The answer to [`Step::Create`].
    Created(Result<(), Refusal>),
    /// The answer to [`Step::Look`].
    Looked(Result<Seen, Refusal>),
    /// The end of [`Step::Rest`].
    Rested,
}

/// One downgrade, in one session.
#[derive(Debug)]
pub(crate) struct Downgrade {
    session: SessionId,
    /// Whether a creation may have happened without our knowing.
    in_doubt: bool,
}

impl Downgrade {
    /// One that begins with [`Step::Create`].
    pub(crate) const fn new(session: SessionId) -> Self {
        Self { session, in_doubt: false }
    }

    pub(crate) fn next(&mut self, told: Told) -> Step {
        let refusal = match told {
            Told::Created(Ok(())) => return Step::Done,
            Told::Looked(Ok(seen)) if seen.owner == self.session => return Step::Done,
            Told::Rested if self.in_doubt => return Step::Look,
            Told::Rested => return Step::Create,
            Told::Looked(Err(Refusal::NoNode)) => {
                self.in_doubt = false;
                return Step::Create;
            }
            // Nobody else makes nodes of our name.
            Told::Looked(Ok(_)) => Refusal::Never,
            Told::Created(Err(refusal)) | Told::Looked(Err(refusal)) => refusal,
        };
        match refusal {
            // Of the writer's nodes: somebody deleted one, or the session did.
            Refusal::NoNode | Refusal::SessionOver => Step::Lost,
            Refusal::Unknown => {
                self.in_doubt = true;
                Step::Rest
            }
            Refusal::NotNow => Step::Rest,
            Refusal::Changed | Refusal::Unsupported | Refusal::Never => Step::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zk_proto::Zxid;

    const SESSION: SessionId = SessionId(7);

    fn seen(owner: SessionId) -> Told {
        Told::Looked(Ok(Seen { czxid: Zxid(3), owner, version: 0, revoked: false }))
    }

    #[test]
    fn an_answer_ends_it() {
        assert_eq!(Downgrade::new(SESSION).next(Told::Created(Ok(()))), Step::Done);
        for (refusal, step) in [
            (Refusal::NoNode, Step::Lost),
            (Refusal::SessionOver, Step::Lost),
            (Refusal::Never, Step::Refused),
        ] {
            assert_eq!(Downgrade::new(SESSION).next(Told::Created(Err(refusal))), step);
        }
    }

    #[test]
    fn a_lost_answer_is_looked_for_and_a_lost_request_sent_again() {
        let mut downgrade = Downgrade::new(SESSION);
        assert_eq!(downgrade.next(Told::Created(Err(Refusal::Unknown))), Step::Rest);
        assert_eq!(downgrade.next(Told::Rested), Step::Look);
        assert_eq!(downgrade.next(Told::Looked(Err(Refusal::NotNow))), Step::Rest);
        assert_eq!(downgrade.next(Told::Rested), Step::Look, "still in doubt");
        assert_eq!(downgrade.next(Told::Looked(Err(Refusal::NoNode))), Step::Create);
        assert_eq!(downgrade.next(Told::Created(Err(Refusal::NotNow))), Step::Rest);
        assert_eq!(downgrade.next(Told::Rested), Step::Create, "in no doubt");
        assert_eq!(downgrade.next(Told::Created(Err(Refusal::Unknown))), Step::Rest);
        assert_eq!(downgrade.next(Told::Rested), Step::Look);
        assert_eq!(downgrade.next(seen(SESSION)), Step::Done);
    }

    #[test]
    fn a_node_of_another_session_is_nothing_to_stand_on() {
        assert_eq!(Downgrade::new(SESSION).next(seen(SessionId(8))), Step::Refused);
    }
}
