//! The latch itself: a candidate before it is started, and what anybody may ask about the others.

use std::fmt;
use std::sync::Arc;
use tokio::runtime::Handle;
use zk_client::Client;

use super::builder::LeaderLatchBuilder;
use super::running::RunningLatch;
use crate::contender::Context;
use crate::error::Error;
use crate::participants::{self, Participant};

/// One leader among many processes: whoever starts a latch is a candidate until it is closed, and one of them leads
/// at a time, in the order in which they came.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use zk_client::Client;
/// use zk_recipes::{CloseMode, LeaderLatch};
///
/// let zk = Client::connect("zk1:2181,zk2:2181/app").await?;
/// let latch = LeaderLatch::builder(&zk, "/scheduler").identifier("node-7").build().start()?;
///
/// loop {
///     // A follower waits here; so does a leader that lost leadership, until it leads again.
///     let leadership = latch.wait_leader().await?;
///     let worked = leadership.run(async {
///         let next = leadership.transaction()?.set("/scheduler-state", "job-8");
///         next.commit().await
///     });
///     match worked.await {
///         Ok(done) => break drop(done?),
///         Err(lost) => println!("stopped at once: {lost}"),
///     }
/// }
/// latch.close(CloseMode::Silent).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Layout
/// Curator's `LeaderLatch`: each candidate is an ephemeral sequential node `_c_<uuid>-latch-<n>` under the latch's
/// path, which is made as a container node when it is missing. The lowest number leads. The node's data is the
/// candidate's identifier. Candidates of Curator and of this library elect each other. Other children, such as the
/// nodes of a lock, are ignored, with one warning each.
///
/// # Cost
/// Entering: one round trip of two requests (create and list, sent back to back). Following: one read that leaves a
/// watch on the node before ours; one list and at most one such read for each time that node goes. Leading
/// for longer than [`OWN_WATCH_DELAY`](crate::limits::OWN_WATCH_DELAY): one read that leaves a watch on the own node.
/// A leader that goes wakes one follower. After a lost connection a follower
/// lists once; a leader that keeps its place asks for sync and list together, and reads its node twice.
///
/// # Guarantees
/// Never more than one leader that counts itself in, while clocks run at nearly the same rate: a leader stops before
/// the server can let the next one in (see [`LossPolicy`](crate::LossPolicy)). What must hold whatever clocks do, and
/// however long a process stands still, needs fencing: [`Held::transaction`](crate::Held::transaction) for what is
/// in ZooKeeper, [`Held::fencing_token`](crate::Held::fencing_token) for what is not. The exception is a leader's
/// node that is deleted by hand: the next one may be in before the old one hears.
///
/// States are shown one after the other, each with a higher generation, by one task; there are no callbacks that
/// could run side by side. What is still told of an earlier term changes nothing.
///
/// # Loss
/// | what happens | to a follower | to the leader |
/// |---|---|---|
/// | connection lost | `Suspended`; keeps its node and its place | stops at once (`Standard`), and stands on its node again after a reconnect in the same session; or is in doubt until the local deadline (`Session`) |
/// | session expired | a new node, at the tail, in the next session | stops; a new node, at the tail |
/// | local deadline passed | | stops; gives its node up, and takes a new one at the tail |
/// | node deleted by someone | a new node, at the tail, once it looks: when the node before it goes, or after a reconnect | stops at once; a new node, at the tail |
/// | client closed | `Closed` | stops; `Closed` |
/// | server refuses for good (an ACL) | `Closed`; [`RunningLatch::wait_leader`] says why | |
///
/// A node that an earlier session of this process left, and that is about to vanish, is never stood upon.
///
/// # Cancellation
/// Every future here may be dropped at any time; the latch goes on. Dropping the [`RunningLatch`] closes it in the
/// background.
///
/// # Differences from Curator and Kazoo
/// | | Curator's `LeaderLatch` | here |
/// |---|---|---|
/// | leader's own node watched | no: deleted by hand, two lead | yes |
/// | leader told of the local deadline | only after suspend and a timer | yes, and `is_leader` looks at the clock |
/// | fencing | no | token and fenced transactions |
/// | listeners | callbacks, on any executor | a watch channel, one task, generations |
/// | order where the number turns negative | wrong | right |
/// | a lost answer to create | looked up without sync | sync, list, owner checked |
/// | letting another one lead | close and start anew | [`RunningLatch::step_down`] |
///
/// Kazoo has no latch: its `Election` is [`Election`](crate::Election).
#[derive(Clone)]
pub struct LeaderLatch(Arc<Context>);

impl LeaderLatch {
    /// A candidate with default options for leadership at `path`.
    #[must_use]
    pub fn new(client: &Client, path: impl Into<String>) -> Self {
        Self::builder(client, path).build()
    }

    /// Options first.
    pub fn builder(client: &Client, path: impl Into<String>) -> LeaderLatchBuilder {
        LeaderLatchBuilder::new(client, path.into())
    }

    pub(super) const fn new_in(context: Arc<Context>) -> Self {
        Self(context)
    }

    /// The path under which candidates stand in line.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.0.options.parent
    }

    /// Becomes a candidate, in a task of the runtime this is called in, which must be one that lives as long as the
    /// client's. Waits for nothing, not even a connection. Started twice, it is two candidates.
    ///
    /// # Errors
    /// [`Error::NoRuntime`].
    pub fn start(&self) -> Result<RunningLatch, Error> {
        let runtime = Handle::try_current().map_err(|_| Error::NoRuntime)?;
        Ok(RunningLatch::start(Arc::clone(&self.0), &runtime))
    }

    /// All candidates, in the order of the line. Costs one request for the list and one for each candidate.
    ///
    /// # Errors
    /// [`Error::Client`].
    pub async fn participants(&self) -> Result<Vec<Participant>, Error> {
        participants(&self.0).await
    }

    /// Whose turn it is, if there is any candidate. It may not know yet, or not be sure any more.
    ///
    /// # Errors
    /// [`Error::Client`].
    pub async fn leader(&self) -> Result<Option<Participant>, Error> {
        Ok(first(self.participants().await?))
    }
}

/// Who stands in this line.
pub(super) async fn participants(context: &Context) -> Result<Vec<Participant>, Error> {
    let path = &context.options.parent;
    participants::list(&context.client, path, &context.options.rule)
        .await
        .map_err(|source| Error::Client { path: path.clone(), source })
}

/// Who is admitted, of a line.
pub(super) fn first(line: Vec<Participant>) -> Option<Participant> {
    line.into_iter().find(|participant| participant.admitted)
}

impl fmt::Debug for LeaderLatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaderLatch").field("path", &self.path()).finish_non_exhaustive()
    }
}
