//! What a taker knows of its queue: the items it has seen and not tried yet, and the watches that tell when to look
//! again. Does not take anything.

use std::collections::{HashSet, VecDeque};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;
use zk_client::{Children, Client, Error as ClientError, Watch};

use super::delay::WallClock;
use super::names::{Kind, in_order};
use crate::asking::{explain, passes, until_answered};
use crate::error::Error;
use crate::limits::{QUEUE_AHEAD_MAX, RETRY_PAUSE};

/// Where the items are, and the claims on them.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) client: Client,
    pub(super) items: String,
    /// `None`: items are not claimed before they are taken.
    pub(super) claims: Option<String>,
    pub(super) kind: Kind,
    pub(super) clock: WallClock,
    /// Whether later items may have to come before those that were seen: then a look is not put off.
    pub(super) eager: bool,
    /// Items that are no items: told of once, and left to others from then on. No more than there are in the queue.
    pub(super) spoiled: Arc<Mutex<HashSet<String>>>,
}

impl Place {
    /// This one is not to be tried again.
    pub(super) fn spoil(&self, name: &str) {
        self.spoiled.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
    }

    fn without_spoiled(&self, names: &mut Vec<String>) {
        let mut spoiled = self.spoiled.lock().unwrap_or_else(PoisonError::into_inner);
        if !spoiled.is_empty() {
            let there: HashSet<&String> = names.iter().collect();
            spoiled.retain(|name| there.contains(name));
            names.retain(|name| !spoiled.contains(name));
        }
    }
}

/// See the module's head.
#[derive(Debug, Default)]
pub(super) struct View {
    candidates: VecDeque<String>,
    /// Of the last look; whether one of them has fired is asked of themselves.
    watches: Vec<Watch>,
    /// Whether the last look is still all there is to know.
    current: bool,
    /// When a delayed item becomes due, by the wall clock, in milliseconds.
    next_due: Option<u64>,
}

impl View {
    /// The next item to try. Looks again only when all that was seen was tried, or, if it must, when something has
    /// happened since. `None` when there is nothing to try now.
    pub(super) async fn next(&mut self, place: &Place) -> Result<Option<String>, Error> {
        if self.candidates.is_empty() || place.eager {
            self.note_events().await;
            if !self.current || self.is_due(place) {
                self.look(place).await?;
            }
        }
        Ok(self.candidates.pop_front())
    }

    /// Whether there is nothing to try, as far as is known, and what is known is all there is.
    pub(super) fn is_all_tried(&self, place: &Place) -> bool {
        self.candidates.is_empty() && self.current && !self.is_due(place)
    }

    /// Waits until it makes sense to ask again. May be dropped and called again.
    pub(super) async fn changed(&mut self, place: &Place) {
        let due = self.next_due.map(|due| due.saturating_sub(place.clock.now_ms()));
        let timer = async {
            match due {
                Some(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
                None => std::future::pending().await,
            }
        };
        let watches = &mut self.watches;
        let fired = poll_fn(|cx| {
            for watch in watches.iter_mut() {
                if let Poll::Ready(event) = Pin::new(watch).poll(cx) {
                    return Poll::Ready(event.map(drop));
                }
            }
            Poll::Pending
        });
        let fired = tokio::select! {
            biased;
            fired = fired => Some(fired),
            () = timer => None,
        };
        if let Some(fired) = fired {
            self.forget();
            if fired.is_err_and(|error| passes(&error)) {
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        }
    }

    /// What was seen of an item that could not be tried is not worth keeping.
    pub(super) fn forget(&mut self) {
        self.current = false;
        self.watches.clear();
    }

    fn is_due(&self, place: &Place) -> bool {
        self.next_due.is_some_and(|due| due <= place.clock.now_ms())
    }

    /// Whether a watch has fired since the last look, without waiting for one.
    async fn note_events(&mut self) {
        let watches = &mut self.watches;
        let fired = poll_fn(|cx| {
            let fired = watches.iter_mut().any(|watch| Pin::new(watch).poll(cx).is_ready());
            Poll::Ready(fired)
        });
        if fired.await {
            self.forget();
        }
    }

    /// Lists the items, and the claims beside them in the same flight.
    async fn look(&mut self, place: &Place) -> Result<(), Error> {
        self.forget();
        self.candidates.clear();
        let Place { client, items, claims, kind, clock, .. } = place;
        loop {
            let seen = until_answered(|| async move {
                let items = client.get_children(items.as_str()).watch().send();
                let claims =
                    claims.as_ref().map(|claims| client.get_children(claims.as_str()).watch().send());
                let items = absent_is_none(items.await)?;
                let claims = match claims {
                    Some(claims) => absent_is_none(claims.await)?,
                    None => None,
                };
                Ok::<_, ClientError>((items, claims))
            });
            let (seen, claimed) = seen.await.map_err(|error| explain(items, error))?;
            let Some((Children { mut names, .. }, watch)) = seen else {
                // Nobody has put anything yet: wait for the node itself.
                let Some(watch) = absent(client, items).await? else { continue };
                (self.watches, self.current, self.next_due) = (vec![watch], true, None);
                return Ok(());
            };
            // Nobody has claimed anything yet: somebody may before we do.
            let claimed = match (claimed, claims) {
                (None, Some(claims)) => match absent(client, claims).await? {
                    Some(watch) => {
                        self.watches.push(watch);
                        None
                    }
                    None => continue,
                },
                (claimed, _) => claimed,
            };
            place.without_spoiled(&mut names);
            let (mut names, next_due) = in_order(*kind, &names, clock.now_ms());
            self.watches.push(watch);
            if let Some((claims, watch)) = claimed {
                let claimed: HashSet<&String> = claims.names.iter().collect();
                names.retain(|name| !claimed.contains(name));
                self.watches.push(watch);
            }
            // What is cut off is seen by the next look, which comes when these were tried.
            let all = names.len() <= QUEUE_AHEAD_MAX;
            names.truncate(QUEUE_AHEAD_MAX);
            (self.candidates, self.current, self.next_due) = (names.into(), all, next_due);
            return Ok(());
        }
    }
}

/// A watch on a node that is not there; `None` if it is.
async fn absent(client: &Client, path: &str) -> Result<Option<Watch>, Error> {
    let look = until_answered(|| client.exists(path).watch().send()).await;
    let (stat, watch) = look.map_err(|error| explain(path, error))?;
    Ok(stat.is_none().then_some(watch))
}

type Seen = Option<(Children, Watch)>;

fn absent_is_none(listed: Result<(Children, Watch), ClientError>) -> Result<Seen, ClientError> {
    match listed {
        Ok(seen) => Ok(Some(seen)),
        Err(error) if error.is_no_node() => Ok(None),
        Err(error) => Err(error),
    }
}
