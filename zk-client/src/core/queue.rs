//! Operations waiting and in flight, in order. Owns the xids; decides nothing about sessions.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;
use zk_proto::SessionId;
use zk_proto::header::next_xid;

use super::request::{OpId, Request, Terms, opcode};

/// One operation on its way.
pub(super) struct Operation {
    pub(super) id: OpId,
    /// Boxed: it changes hands a dozen times, and is larger than all the rest.
    pub(super) request: Box<Request>,
    /// The only session it may be sent in.
    pub(super) pin: Option<SessionId>,
    /// Whether it is sent again after a loss, where that is not for the policy to say.
    pub(super) resend: Option<bool>,
    /// Times it was handed to a connection.
    pub(super) sends: u32,
    /// Connections lost while it was the oldest in flight.
    pub(super) losses: u32,
    /// The xid it was last sent with.
    pub(super) xid: i32,
    /// When it was last sent.
    pub(super) sent_at: Duration,
    /// It deletes nodes, one of which is watched.
    pub(super) fires: bool,
    /// The core's own: nobody waits for its end.
    pub(super) own: bool,
    cancelled: bool,
}

/// Without the request: it may hold credentials, and data.
impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operation")
            .field("id", &self.id)
            .field("op", &opcode(&self.request))
            .field("sends", &self.sends)
            .finish_non_exhaustive()
    }
}

/// Both lists are in ascending order of [`OpId`], and everything in flight comes before everything waiting; the
/// core's own operations may be sent ahead of others.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Operation>,
    flying: VecDeque<Operation>,
    cancelled: usize,
    next_id: u64,
    xid: i32,
}

impl Queue {
    pub(super) fn push(&mut self, request: impl Into<Box<Request>>, terms: Terms) -> OpId {
        let operation = self.operation(request.into(), terms, false);
        let id = operation.id;
        self.waiting.push_back(operation);
        id
    }

    /// As [`Queue::push`], of what the core itself wants.
    pub(super) fn push_own(&mut self, request: Request) -> OpId {
        let operation = self.own(request);
        let id = operation.id;
        self.waiting.push_back(operation);
        id
    }

    /// An operation of the core's own that is sent now, ahead of everything that waits.
    pub(super) fn own(&mut self, request: Request) -> Operation {
        self.operation(Box::new(request), Terms::default(), true)
    }

    fn operation(&mut self, request: Box<Request>, terms: Terms, own: bool) -> Operation {
        Operation {
            id: self.take_id(),
            request,
            pin: terms.session,
            resend: terms.resend,
            sends: 0,
            losses: 0,
            xid: 0,
            sent_at: Duration::ZERO,
            fires: false,
            own,
            cancelled: false,
        }
    }

    /// The name of an operation that never enters the queue.
    pub(super) fn take_id(&mut self) -> OpId {
        let id = OpId(self.next_id);
        self.next_id += 1;
        id
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Takes an operation out that waits; false when it does not.
    pub(super) fn cancel(&mut self, id: OpId) -> bool {
        let Ok(at) = self.waiting.binary_search_by_key(&id, |operation| operation.id) else { return false };
        let Some(operation) = self.waiting.get_mut(at) else { return false };
        if operation.cancelled {
            return false;
        }
        // Taking it out of the middle would cost a walk for each; its memory is given back now, its place later.
        operation.cancelled = true;
        *operation.request = Request::Ping;
        self.cancelled += 1;
        if self.cancelled * 2 > self.waiting.len() {
            self.waiting.retain(|operation| !operation.cancelled);
            self.cancelled = 0;
        }
        true
    }

    /// The next operation to send.
    pub(super) fn next_waiting(&mut self) -> Option<Operation> {
        loop {
            let operation = self.waiting.pop_front()?;
            if !operation.cancelled {
                return Some(operation);
            }
            self.cancelled -= 1;
        }
    }

    /// The xid for the next ordinary request.
    pub(super) fn next_xid(&mut self) -> i32 {
        self.xid = next_xid(self.xid);
        self.xid
    }

    pub(super) fn fly(&mut self, operation: Operation) {
        self.flying.push_back(operation);
    }

    pub(super) fn has_flying(&self) -> bool {
        !self.flying.is_empty()
    }

    /// The xid that is answered next.
    pub(super) fn due_xid(&self) -> Option<i32> {
        self.flying.front().map(|operation| operation.xid)
    }

    pub(super) fn land(&mut self) -> Option<Operation> {
        self.flying.pop_front()
    }

    pub(super) fn take_flying(&mut self) -> VecDeque<Operation> {
        std::mem::take(&mut self.flying)
    }

    /// Puts operations that were in flight back in front, in their order.
    pub(super) fn put_back(&mut self, mut operations: Vec<Operation>) {
        operations.sort_by_key(|operation| operation.id);
        for operation in operations.into_iter().rev() {
            self.waiting.push_front(operation);
        }
    }

    /// Takes out of the waiting whatever `doomed` says, in order.
    pub(super) fn take_waiting_if(&mut self, doomed: impl Fn(&Operation) -> bool) -> Vec<Operation> {
        let mut taken = Vec::new();
        let mut kept = VecDeque::with_capacity(self.waiting.len());
        for operation in self.waiting.drain(..).filter(|operation| !operation.cancelled) {
            if doomed(&operation) {
                taken.push(operation);
            } else {
                kept.push_back(operation);
            }
        }
        self.waiting = kept;
        self.cancelled = 0;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cancelled_are_skipped_and_swept() {
        let mut queue = Queue::default();
        let ids: Vec<OpId> = (0..10).map(|_| queue.push(Request::WhoAmI, Terms::default())).collect();
        for id in &ids[2..9] {
            assert!(queue.cancel(*id));
            assert!(!queue.cancel(*id));
        }
        let left: Vec<OpId> = std::iter::from_fn(|| queue.next_waiting()).map(|o| o.id).collect();
        assert_eq!(left, [ids[0], ids[1], ids[9]]);
        assert_eq!(queue.cancelled, 0);
    }

    #[test]
    fn what_was_in_flight_goes_back_in_front_in_order() {
        let mut queue = Queue::default();
        for _ in 0..4 {
            queue.push(Request::WhoAmI, Terms::default());
        }
        let mut sent: Vec<Operation> = (0..3).filter_map(|_| queue.next_waiting()).collect();
        sent.reverse();
        queue.put_back(sent);
        let order: Vec<u64> = std::iter::from_fn(|| queue.next_waiting()).map(|o| o.id.0).collect();
        assert_eq!(order, [0, 1, 2, 3]);
    }
}
