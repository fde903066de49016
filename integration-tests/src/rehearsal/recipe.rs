//! What is rehearsed: a workload and its oracle.

use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use super::actor::Actor;
use super::history::History;
use crate::sim::Draw;

/// Everything that workloads do is at or below this path.
pub const ROOT: &str = "/r";

/// A workload and its oracle. The value is what the seed makes of it: options, sizes, policies.
pub trait Recipe: Debug + Sized + Send + Sync + 'static {
    /// Its name in messages.
    const NAME: &'static str;

    /// What its participants note.
    type Event: Clone + Debug + Send + 'static;

    /// The parameters of a seed.
    fn of_seed(draw: &mut Draw) -> Self;

    /// How many processes take part.
    fn processes(&self) -> usize {
        3
    }

    /// What a process does, until [`Actor::healed`] says that faults are over; then one more time, successfully, and
    /// then it returns with nothing held. A process that was killed is followed by another, which begins here.
    /// `Err` is a violation by itself: an error that the recipe should not have returned.
    fn life(self: Arc<Self>, actor: Actor<Self::Event>) -> BoxFuture<'static, Result<(), String>>;

    /// Whether what was noted keeps the recipe's promises; the text says what does not.
    ///
    /// # Errors
    /// The first promise that was broken.
    fn judge(&self, history: &History<Self::Event>) -> Result<(), String>;

    /// What is left in the tree that should not be, when every workload has returned and every session still lives.
    /// Unless said, everything but [`ROOT`] and its direct children.
    fn left_over(&self, tree: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
        tree.keys().filter(|path| path.matches('/').count() > 2).cloned().collect()
    }

    /// How often each thing happened, to be summed over all seeds: a rehearsal that never does something tests
    /// nothing of it.
    fn count(&self, history: &History<Self::Event>) -> Vec<(&'static str, u64)>;
}
