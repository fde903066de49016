//! Which sessions live, and until when. Time is cut into ticks, and a session expires at the end of the tick in
//! which its timeout passes: never early, at most one tick late.
//!
//! A session is kept alive by whatever its connection hears. The connection notes that moment itself, so that a
//! read costs the tracker nothing; the tracker looks when the session's turn to expire comes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use zk_proto::SessionId;

use super::connection::Connection;

#[derive(Debug)]
struct Tracked {
    timeout: Duration,
    heard: Duration,
    due: Duration,
    closing: bool,
    connection: Option<Arc<Connection>>,
}

impl Tracked {
    fn last_heard(&self) -> Duration {
        self.connection.as_ref().map_or(self.heard, |c| c.last_heard().max(self.heard))
    }
}

/// All live sessions.
#[derive(Debug)]
pub struct Sessions {
    tick: Duration,
    tracked: BTreeMap<SessionId, Tracked>,
    due: BTreeSet<(Duration, SessionId)>,
}

impl Sessions {
    /// No sessions yet; expiry is looked at every `tick`.
    #[must_use]
    pub fn new(tick: Duration) -> Self {
        Self { tick: tick.max(Duration::from_millis(1)), tracked: BTreeMap::new(), due: BTreeSet::new() }
    }

    /// Begins to track a session.
    pub fn open(
        &mut self,
        id: SessionId,
        timeout: Duration,
        connection: Option<Arc<Connection>>,
        now: Duration,
    ) {
        let due = self.due_at(now + timeout);
        self.due.insert((due, id));
        self.tracked.insert(id, Tracked { timeout, heard: now, due, closing: false, connection });
    }

    /// Attaches a connection to a live session and answers with the one it replaces; `Err` when the session is
    /// not there or is ending.
    ///
    /// # Errors
    /// `Err(())` as said.
    #[allow(
        clippy::result_unit_err,
        reason = "there is one way to fail, and the caller's answer to it is fixed"
    )]
    pub fn attach(
        &mut self,
        id: SessionId,
        timeout: Duration,
        connection: &Arc<Connection>,
        now: Duration,
    ) -> Result<Option<Arc<Connection>>, ()> {
        let session = self.tracked.get_mut(&id).filter(|s| !s.closing).ok_or(())?;
        session.timeout = timeout;
        session.heard = now;
        Ok(session.connection.replace(Arc::clone(connection)))
    }

    /// The connection is gone; its session lives on until it expires.
    pub fn detach(&mut self, connection: &Connection) {
        if let Some(session) = self.tracked.get_mut(&connection.session())
            && session.connection.as_ref().is_some_and(|c| c.id == connection.id)
        {
            session.heard = session.last_heard();
            session.connection = None;
        }
    }

    /// Marks a session as ending: nothing more is accepted for it. `false` when it was not live.
    pub fn begin_close(&mut self, id: SessionId) -> bool {
        match self.tracked.get_mut(&id) {
            Some(session) if !session.closing => {
                session.closing = true;
                self.due.remove(&(session.due, id));
                true
            }
            _ => false,
        }
    }

    /// Whether a session that [`Sessions::expired`] has named was not heard of since. If it was, it is tracked on.
    pub fn is_silent(&mut self, id: SessionId, now: Duration) -> bool {
        let Some(session) = self.tracked.get(&id) else { return false };
        let real = self.due_at(session.last_heard() + session.timeout);
        if real > now {
            self.due.insert((real, id));
            if let Some(session) = self.tracked.get_mut(&id) {
                session.due = real;
            }
        }
        real <= now
    }

    /// The connection that serves a session, if there is one.
    #[must_use]
    pub fn connection(&self, id: SessionId) -> Option<&Arc<Connection>> {
        self.tracked.get(&id).and_then(|session| session.connection.as_ref())
    }

    /// Forgets a session and answers with the connection it had.
    pub fn remove(&mut self, id: SessionId) -> Option<Arc<Connection>> {
        let session = self.tracked.remove(&id)?;
        self.due.remove(&(session.due, id));
        session.connection
    }

    /// Whether the session is there and not ending.
    #[must_use]
    pub fn is_live(&self, id: SessionId) -> bool {
        self.tracked.get(&id).is_some_and(|s| !s.closing)
    }

    /// Whether this connection is the session's: not replaced by another.
    #[must_use]
    pub fn is_served_by(&self, id: SessionId, connection: &Connection) -> bool {
        let current = self.tracked.get(&id).and_then(|s| s.connection.as_ref());
        current.is_some_and(|c| c.id == connection.id)
    }

    /// How many sessions are tracked.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tracked.len()
    }

    /// Whether none is tracked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tracked.is_empty()
    }

    /// When [`Sessions::expired`] is next worth a call.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        self.due.first().map(|(due, _)| *due)
    }

    /// The sessions whose time has passed, in the order in which it did. They stay live until
    /// [`Sessions::begin_close`].
    pub fn expired(&mut self, now: Duration) -> Vec<SessionId> {
        let mut expired = Vec::new();
        while let Some(&(due, id)) = self.due.first() {
            if due > now {
                break;
            }
            self.due.pop_first();
            let Some(session) = self.tracked.get(&id) else { continue };
            let real = self.due_at(session.last_heard() + session.timeout);
            if real > now {
                self.due.insert((real, id));
                if let Some(session) = self.tracked.get_mut(&id) {
                    session.due = real;
                }
            } else {
                expired.push(id);
            }
        }
        expired
    }

    fn due_at(&self, moment: Duration) -> Duration {
        let tick = self.tick.as_nanos();
        let nanos = (moment.as_nanos() / tick + 1) * tick;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: SessionId = SessionId(1);

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn one() -> (Sessions, Arc<Connection>) {
        let mut sessions = Sessions::new(ms(100));
        let connection = Connection::for_tests(1);
        sessions.open(S, ms(1000), Some(Arc::clone(&connection)), ms(50));
        (sessions, connection)
    }

    #[test]
    fn a_silent_session_expires_within_a_tick_of_its_timeout() {
        let (mut sessions, _) = one();
        assert_eq!(sessions.deadline(), Some(ms(1100)));
        assert_eq!(sessions.expired(ms(1099)), []);
        assert_eq!(sessions.expired(ms(1100)), [S]);
    }

    #[test]
    fn what_the_connection_hears_keeps_the_session() {
        let (mut sessions, connection) = one();
        connection.heard(ms(900));
        assert_eq!(sessions.expired(ms(1100)), []);
        assert_eq!(sessions.deadline(), Some(ms(2000)));
        assert_eq!(sessions.expired(ms(2000)), [S]);
        assert!(sessions.is_silent(S, ms(2000)));
    }

    #[test]
    fn what_is_heard_in_the_last_moment_counts() {
        let (mut sessions, connection) = one();
        assert_eq!(sessions.expired(ms(1100)), [S]);
        connection.heard(ms(1100));
        assert!(!sessions.is_silent(S, ms(1100)));
        assert_eq!(sessions.expired(ms(2199)), []);
        assert_eq!(sessions.expired(ms(2200)), [S]);
    }

    #[test]
    fn an_ending_session_accepts_nobody() {
        let (mut sessions, connection) = one();
        assert!(sessions.begin_close(S));
        assert!(!sessions.begin_close(S));
        assert!(sessions.attach(S, ms(1000), &connection, ms(60)).is_err());
        assert_eq!(sessions.expired(ms(9999)), [], "it expires only once");
        assert!(sessions.remove(S).is_some());
        assert!(sessions.is_empty());
    }
}
