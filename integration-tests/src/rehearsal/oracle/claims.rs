//! Claims: what a workload notes of a guard in its hand, and the intervals in which it took itself for a holder.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::sleep;
use zk_recipes::{Held, LossReason};

use crate::rehearsal::actor::{Actor, Notes};
use crate::rehearsal::history::{History, Who};

/// A claim's name within its process.
pub type ClaimId = u64;

/// Something that happens to a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// It was granted.
    Granted {
        /// Its name.
        id: ClaimId,
        /// What is held: a path, or another name of the thing.
        thing: String,
        /// How, in the recipe's own numbers (reader or writer; how many permits).
        how: u64,
        /// Its fencing token, where there is one.
        token: i64,
    },
    /// It was asked, and holds.
    Valid(ClaimId),
    /// It was asked, and does not hold any more.
    Invalid(ClaimId),
    /// It has told by itself that it is lost.
    Lost(ClaimId),
    /// The work under it was dropped.
    Dropped(ClaimId),
    /// It is given up now.
    LetGo(ClaimId),
    /// The last turn was taken, and held to its end.
    Served,
}

/// Whatever can be held and lost.
pub trait Guard {
    /// Orders holders.
    fn token(&self) -> i64;
    /// Whether it is held, here and now.
    fn is_held(&self) -> bool;
    /// Resolves when it is lost.
    fn lost(&self) -> BoxFuture<'static, LossReason>;
}

impl Guard for Held {
    fn token(&self) -> i64 {
        self.fencing_token().get()
    }

    fn is_held(&self) -> bool {
        Self::is_held(self)
    }

    fn lost(&self) -> BoxFuture<'static, LossReason> {
        Self::lost(self).boxed()
    }
}

/// Notes that work was dropped before it came to an end of its own.
struct Work {
    notes: Notes<Claim>,
    id: ClaimId,
    ended: bool,
}

impl Drop for Work {
    fn drop(&mut self) {
        if !self.ended {
            self.notes.note(Claim::Dropped(self.id));
        }
    }
}

/// The work of a holder: for a drawn time below `most`, asks again and again whether it still holds, and stops when
/// it is told that it does not. Returns whether it held to the end. May be dropped.
///
/// # Errors
/// The guard contradicts itself.
pub async fn hold(
    actor: &mut Actor<Claim>,
    guard: &impl Guard,
    thing: &str,
    how: u64,
    most: Duration,
) -> Result<(ClaimId, bool), String> {
    let id = actor.draw.bits();
    actor.note(Claim::Granted { id, thing: thing.to_owned(), how, token: guard.token() });
    let mut work = Work { notes: actor.notes(), id, ended: false };
    let held = work_on(actor, guard, id, most).await;
    work.ended = true;
    held.map(|held| (id, held))
}

async fn work_on(
    actor: &mut Actor<Claim>,
    guard: &impl Guard,
    id: ClaimId,
    most: Duration,
) -> Result<bool, String> {
    if !guard.is_held() {
        actor.note(Claim::Invalid(id));
        return Ok(false);
    }
    actor.note(Claim::Valid(id));
    let end = actor.now() + actor.draw.between(Duration::ZERO, most);
    let mut lost = guard.lost();
    while actor.now() < end {
        let step = actor.draw.between(Duration::from_millis(1), Duration::from_millis(40));
        tokio::select! {
            biased;
            _ = &mut lost => {
                actor.note(Claim::Lost(id));
                let held = guard.is_held();
                return if held { Err("lost() has resolved, and is_held() says yes".to_owned()) } else { Ok(false) };
            }
            () = sleep(step) => {}
        }
        if !guard.is_held() {
            actor.note(Claim::Invalid(id));
            let told = lost.now_or_never().is_some();
            return if told { Ok(false) } else { Err("is_held() says no, and lost() waits".to_owned()) };
        }
        actor.note(Claim::Valid(id));
    }
    Ok(true)
}

/// The time in which a process took itself for a holder.
#[derive(Debug, Clone)]
pub struct Span {
    /// Whose.
    pub who: Who,
    /// Its name.
    pub id: ClaimId,
    /// What was held.
    pub thing: String,
    /// How.
    pub how: u64,
    /// Its token.
    pub token: i64,
    /// When it was granted.
    pub from: Duration,
    /// The last time at which it was known to hold.
    pub until: Duration,
    /// When its holder knew that it had lost it, by asking or by being told.
    pub told: Option<Duration>,
    /// When its holder gave it up.
    pub let_go: Option<Duration>,
}

impl Span {
    /// For messages.
    #[must_use]
    pub fn shown(&self) -> String {
        let Self { who, thing, how, token, from, until, .. } = self;
        format!("{who} on {thing} ({how}) with token {token} from {from:?} to {until:?}")
    }
}

/// All claims, by the time of their grant.
#[must_use]
pub fn spans(history: &History<Claim>) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut places: BTreeMap<(Who, ClaimId), usize> = BTreeMap::new();
    for entry in &history.entries {
        let (who, at) = (entry.who, entry.at);
        let (Claim::Valid(id)
        | Claim::Invalid(id)
        | Claim::Dropped(id)
        | Claim::Lost(id)
        | Claim::LetGo(id)
        | Claim::Granted { id, .. }) = &entry.event
        else {
            continue;
        };
        if let Claim::Granted { id, thing, how, token } = &entry.event {
            places.insert((who, *id), spans.len());
            let (thing, how, token) = (thing.clone(), *how, *token);
            let (told, let_go) = (None, None);
            spans.push(Span { who, id: *id, thing, how, token, from: at, until: at, told, let_go });
        }
        let Some(span) = places.get(&(who, *id)).and_then(|place| spans.get_mut(*place)) else { continue };
        match entry.event {
            Claim::Valid(_) => span.until = at,
            Claim::Invalid(_) | Claim::Lost(_) | Claim::Dropped(_) => span.told = span.told.or(Some(at)),
            Claim::LetGo(_) => span.let_go = span.let_go.or(Some(at)),
            Claim::Granted { .. } | Claim::Served => {}
        }
    }
    spans
}

/// What every workload with guards counts.
#[must_use]
pub fn count(history: &History<Claim>) -> Vec<(&'static str, u64)> {
    let all = spans(history);
    let lost = all.iter().filter(|span| span.told.is_some()).count() as u64;
    let still = all.iter().filter(|span| span.told.is_some_and(|at| history.went_on(span.who, at)));
    vec![("grants", all.len() as u64), ("lost", lost), ("lost while standing still", still.count() as u64)]
}
