//! Runs a latch's life over contenders: the one task of a running latch. Decides nothing.

use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::watch;
use zk_client::SessionState;
use zk_proto::SessionId;

use super::leadership::{Leadership, Term};
use super::life::{Action, Attempt, End, Event, Life};
use super::status::{CloseMode, LeaderState, LeaderStatus};
use crate::contender::{Context, Entrant, Failure, GivenUp, NotGranted};
use crate::error::Error;
use crate::fence::FencingToken;
use crate::loss::{LockState, LossReason};

/// What its owner wants of a latch. Level-triggered.
#[derive(Debug, Default)]
pub(super) struct Wish {
    pub(super) close: Option<CloseMode>,
    /// The leadership that is to be given up.
    pub(super) step_down: Option<FencingToken>,
}

/// How a latch has ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// What whoever waits for it is told.
    pub(super) why: Error,
    /// What the release of a leader's node met.
    pub(super) release: Option<Error>,
}

/// What is under way.
#[derive(Debug)]
enum Post {
    Nothing,
    Standing(Box<Entrant>),
    Leading(Term),
}

/// What came of it.
enum Report {
    Placed,
    Granted,
    NotGranted(NotGranted),
    Lost(LossReason),
}

pub(super) struct Candidate {
    context: Arc<Context>,
    wish: watch::Receiver<Wish>,
    session: watch::Receiver<SessionState>,
    session_id: Option<SessionId>,
    /// The client is gone: its session's state does not change any more.
    client_over: bool,
    status: watch::Sender<LeaderStatus>,
    leadership: watch::Sender<Option<Leadership>>,
    ended: Arc<OnceLock<Ended>>,
    post: Post,
    /// A leadership that was given up, until its node's deletion is somebody's.
    given_up: Option<(String, GivenUp)>,
    /// Why it was not granted, of the last attempt.
    refusal: Option<NotGranted>,
}

impl Candidate {
    pub(super) fn new(
        context: Arc<Context>,
        wish: watch::Receiver<Wish>,
        status: watch::Sender<LeaderStatus>,
        leadership: watch::Sender<Option<Leadership>>,
        ended: Arc<OnceLock<Ended>>,
    ) -> Self {
        let session = context.client.session_state();
        Self {
            context,
            wish,
            session,
            session_id: None,
            client_over: false,
            status,
            leadership,
            ended,
            post: Post::Nothing,
            given_up: None,
            refusal: None,
        }
    }

    pub(super) async fn run(mut self) {
        let state = *self.session.borrow_and_update();
        self.session_id = state.session().map(|info| info.id);
        let (mut life, first) = Life::begin(state.is_connected());
        let mut actions = vec![first];
        actions.extend(life.handle(Event::Connected(state.is_connected())));
        loop {
            for action in actions {
                if let Action::End(end) = action {
                    return self.end(end).await;
                }
                self.act(action);
            }
            let events = self.next(&life).await;
            actions = events.into_iter().flat_map(|event| life.handle(event)).collect();
        }
    }

    /// What happens next. What is dropped here at an await goes on at the next call.
    async fn next(&mut self, life: &Life) -> Vec<Event> {
        tokio::select! {
            biased;
            changed = self.wish.changed() => match changed {
                Ok(()) => self.wished(),
                Err(_) => vec![Event::Close],
            },
            report = self.post.report(life.is_placed()) => self.reported(life.attempt(), report),
            changed = self.session.changed(), if !self.client_over => {
                // Whatever is under way hears of the client's end by itself.
                self.client_over = changed.is_err();
                self.session_is(life.attempt())
            }
        }
    }

    fn wished(&mut self) -> Vec<Event> {
        let wish = self.wish.borrow_and_update();
        if wish.close.is_some() {
            return vec![Event::Close];
        }
        match &self.post {
            Post::Leading(term) if wish.step_down == Some(term.leadership().fencing_token()) => {
                vec![Event::StepDown]
            }
            _ => Vec::new(),
        }
    }

    fn session_is(&mut self, attempt: Attempt) -> Vec<Event> {
        let state = *self.session.borrow_and_update();
        let id = state.session().map(|info| info.id);
        let mut events = Vec::new();
        if self.session_id.is_some() && id != self.session_id {
            // A leader may have lost for another reason before.
            let lost = match &self.post {
                Post::Leading(term) => match *term.leadership().state().borrow() {
                    LockState::Lost(reason) => Some(reason),
                    _ => None,
                },
                _ => None,
            };
            events.push(lost.map_or(Event::SessionOver, |reason| Event::Lost(attempt, reason)));
        }
        self.session_id = id;
        events.push(Event::Connected(state.is_connected()));
        events
    }

    fn reported(&mut self, attempt: Attempt, report: Report) -> Vec<Event> {
        // Whatever it says of the connection is newer than what was last seen of it.
        let mut events = self.session_is(attempt);
        events.push(match (report, &self.post) {
            (Report::Placed, Post::Standing(entrant)) => {
                let node = entrant.own_paths().first().cloned().unwrap_or_default();
                Event::Placed(attempt, node)
            }
            (Report::Granted, _) => match self.take_over() {
                Some(token) => Event::Granted(attempt, token),
                None => Event::Displaced(attempt),
            },
            (Report::NotGranted(why), _) => {
                let failure = match &why {
                    NotGranted::Failed(failure, _) => *failure,
                    NotGranted::NoRuntime => Failure::Refused,
                };
                self.refusal = Some(why);
                Event::Failed(attempt, failure)
            }
            (Report::Lost(reason), _) => Event::Lost(attempt, reason),
            (Report::Placed, _) => return events,
        });
        events
    }

    /// From an entrant that was granted to the term it leads; `None` if that was lost meanwhile.
    fn take_over(&mut self) -> Option<FencingToken> {
        let Post::Standing(entrant) = &mut self.post else { return None };
        let term = Term::new(entrant.take()?);
        let token = term.leadership().fencing_token();
        self.post = Post::Leading(term);
        Some(token)
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Show(status) => self.show(status),
            Action::GiveUp => match std::mem::replace(&mut self.post, Post::Nothing) {
                Post::Leading(term) => {
                    let node = term.leadership().node().to_owned();
                    self.given_up = Some((node, term.give_up()));
                }
                Post::Standing(entrant) => drop(entrant),
                Post::Nothing => {}
            },
            Action::Stand(_) => {
                // The deletion of what was given up is the reaper's from here on.
                self.given_up = None;
                let entrant = match std::mem::replace(&mut self.post, Post::Nothing) {
                    Post::Leading(term) => Ok(term.holding().again()),
                    Post::Standing(_) | Post::Nothing => Entrant::new(Arc::clone(&self.context)),
                };
                if let Ok(entrant) = entrant {
                    self.post = Post::Standing(Box::new(entrant));
                }
            }
            Action::End(_) => {}
        }
    }

    fn show(&self, status: LeaderStatus) {
        tracing::debug!(path = self.context.options.parent, ?status, "leader latch");
        let silent = self.wish.borrow().close == Some(CloseMode::Silent);
        let heard = status.state != LeaderState::Closed || !silent;
        let leadership = match (&status.state, &self.post) {
            (LeaderState::Leader { .. }, Post::Leading(term)) => Some(term.leadership().clone()),
            _ => None,
        };
        // Whoever has leadership in hand finds it in the state: it is taken back before, and given out after.
        if leadership.is_none() {
            self.leadership.send_if_modified(|shown| shown.take().is_some());
        }
        self.status.send_if_modified(|shown| {
            *shown = status;
            heard
        });
        if leadership.is_some() {
            self.leadership.send_replace(leadership);
        }
    }

    /// The last thing that is done. Channels close with it.
    async fn end(mut self, end: End) {
        let path = self.context.options.parent.clone();
        let why = match (end, self.refusal.take()) {
            (End::Closed, _) => Error::Closed { path: path.clone() },
            (End::ClientOver(reason), _) => Error::ClientEnded { path: path.clone(), reason },
            (End::Refused, Some(why)) => Error::not_granted(&path, why, Duration::ZERO),
            (End::Refused, None) => Error::NoRuntime,
        };
        let mut release = None;
        if let Some((path, GivenUp::Deleting(deleting))) = self.given_up.take() {
            release = deleting.done().await.err().map(|source| Error::ReleasePending { path, source });
        }
        if end != End::Closed {
            tracing::warn!(path, %why, "the leader latch has ended");
        }
        let _ = self.ended.set(Ended { why, release });
    }
}

impl Post {
    async fn report(&mut self, placed: bool) -> Report {
        match self {
            Self::Nothing => std::future::pending().await,
            Self::Standing(entrant) => {
                if !placed {
                    match entrant.in_line().await {
                        Err(why) => return Report::NotGranted(why),
                        // Nobody before us: granted.
                        Ok(()) if entrant.ahead() != Some(0) => return Report::Placed,
                        Ok(()) => {}
                    }
                }
                match entrant.wait().await {
                    Ok(()) => Report::Granted,
                    Err(why) => Report::NotGranted(why),
                }
            }
            Self::Leading(term) => Report::Lost(term.leadership().lost().await),
        }
    }
}
