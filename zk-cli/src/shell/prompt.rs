//! The prompt, and what is said when something happened to the session since the last one.

use zk_client::{SessionId, SessionState};

use super::place::Place;
use crate::limits::PROMPT_SERVERS_CHARS;

/// `zk1:2181 connected /app> `
pub(super) fn prompt(servers: &str, state: &SessionState, place: &Place) -> String {
    let shown: String = servers.chars().take(PROMPT_SERVERS_CHARS).collect();
    let more = if shown.len() < servers.len() { "..." } else { "" };
    format!("{shown}{more} {} {}> ", word(state), place.path())
}

fn word(state: &SessionState) -> &'static str {
    match state {
        SessionState::Connecting => "connecting",
        SessionState::Connected(info) if info.read_only => "read-only",
        SessionState::Connected(_) => "connected",
        SessionState::Suspended(_) => "disconnected",
        SessionState::Expired(_) => "expired",
        SessionState::AuthFailed => "refused",
        SessionState::Closed => "closed",
        _ => "unknown",
    }
}

/// Whether nothing will work any more.
pub(super) fn is_final(state: &SessionState) -> bool {
    matches!(state, SessionState::AuthFailed | SessionState::Closed)
}

/// Notices that the session is another one than before.
#[derive(Debug)]
pub(super) struct Notice {
    session: Option<SessionId>,
}

impl Notice {
    /// From the first state on.
    pub(super) fn new(state: &SessionState) -> Self {
        Self { session: state.session().map(|info| info.id) }
    }

    /// What there is to say about the state now; says it once.
    pub(super) fn of(&mut self, state: &SessionState) -> Option<String> {
        let now = state.session().map(|info| info.id);
        let before = self.session?;
        match (state, now) {
            (_, Some(id)) if id != before => {
                self.session = now;
                Some(format!("session {before} ended, and its ephemeral nodes with it; this is session {id}"))
            }
            (SessionState::AuthFailed, _) => {
                Some("the server refused the credentials; check --auth or ZK_AUTH".to_owned())
            }
            (SessionState::Closed, _) => Some("the session is closed".to_owned()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use zk_client::SessionInfo;

    fn info(id: i64) -> SessionInfo {
        SessionInfo { id: SessionId(id), timeout: Duration::from_secs(10), read_only: false }
    }

    #[test]
    fn the_prompt_shows_server_state_and_place() {
        let place = Place::default().resolve("/app").unwrap();
        assert_eq!(prompt("a:1", &SessionState::Connected(info(1)), &place), "a:1 connected /app> ");
        let long = prompt(&"zk:2181,".repeat(20), &SessionState::Suspended(info(1)), &place);
        assert!(long.contains("...") && long.ends_with(" disconnected /app> "), "{long}");
    }

    #[test]
    fn a_new_session_is_told_once() {
        let mut notice = Notice::new(&SessionState::Connected(info(1)));
        assert_eq!(notice.of(&SessionState::Suspended(info(1))), None);
        assert_eq!(notice.of(&SessionState::Expired(SessionId(1))), None);
        assert!(notice.of(&SessionState::Connected(info(2))).unwrap().contains("session 0x1 ended"));
        assert_eq!(notice.of(&SessionState::Connected(info(2))), None);
    }
}
