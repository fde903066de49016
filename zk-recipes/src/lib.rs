//! Coordination recipes on ZooKeeper, for tokio: they stand in line, know when they have lost what they held, and
//! share znodes with Curator, Kazoo and others.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use zk_client::Client;
//! use zk_recipes::Lock;
//!
//! let zk = Client::connect("zk1:2181,zk2:2181/app").await?;
//! let guard = Lock::new(&zk, "/locks/nightly-report").acquire().await?;
//! println!("ours, as {}", guard.fencing_token());
//! guard.release().await?;
//! # Ok(())
//! # }
//! ```
//!
//! A client that takes read-only sessions ([`zk_client::Builder::read_only`]) is not for recipes: a minority's answers
//! say nothing of who holds what.
//!
//! | room | what is in it |
//! |---|---|
//! | [`Lock`], [`lock`] | one holder at a time |
//! | [`RwLock`], [`rw_lock`] | many to read, or one to write |
//! | [`MultiLock`], [`mod@multi_lock`] | several locks as one: all or none |
//! | [`NonBlockingLease`], [`MultiNonBlockingLease`], [`mod@lease`] | a right until a time of day, as Kazoo's |
//! | [`LeaderLatch`], [`LeaderSelector`], [`Election`], [`leader`] | one leader at a time, and others in reserve |
//! | [`Barrier`], [`DoubleBarrier`], [`barrier`] | everybody held back; beginning and ending together |
//! | [`SharedValue`], [`SharedCount`], [`AtomicI64`], [`counter`] | values and numbers that processes share |
//! | [`Semaphore`], [`semaphore`] | so many holders at a time, of one permit or several |
//! | [`queue`] | what is put by one is taken by another |
//! | [`Dialect`] | whose names the nodes carry: Curator's, Kazoo's, or both |
//! | [`Held`] | what every guard can be asked: the token, the state, its loss, fenced writes |
//! | [`Participant`] | who holds and who waits |
//! | [`LossPolicy`], [`LockState`], [`LossReason`] | when a holder counts as having lost, and why |
//! | [`FencingToken`], [`FencedTransaction`] | the number that orders holders, and writes only a holder can make |
//! | [`contender`] | an ephemeral sequential node in line behind its predecessor: what waiting recipes are made of |
//! | [`sequence`], [`identity`] | names of all dialects and their order; the UUID in them |
//! | `asking` | asking again until there is an answer |
//! | `marker` | tells after a lost answer whether a write was made |
//! | `reaper` | deletes what dropped futures and lost answers leave behind |
//! | [`Error`] | what an application sees when something does not work |
//! | [`limits`] | every bound, by name and with its unit |

pub mod barrier;
pub mod contender;
pub mod counter;
pub mod identity;
pub mod leader;
pub mod lease;
pub mod limits;
pub mod lock;
pub mod multi_lock;
pub mod queue;
pub mod rw_lock;
pub mod semaphore;
pub mod sequence;

mod asking;
mod dialect;
mod error;
mod fence;
mod held;
mod loss;
mod marker;
mod participants;
mod reaper;

pub use barrier::{Barrier, BarrierTicket, DoubleBarrier};
pub use contender::Parents;
pub use counter::{AtomicI32, AtomicI64, AtomicValue, SharedCount, SharedValue};
pub use dialect::Dialect;
pub use error::Error;
pub use fence::{FencedTransaction, FencingToken};
pub use held::{Held, Released};
pub use leader::{
    CloseMode, Election, ElectionBuilder, LeaderLatch, LeaderLatchBuilder, LeaderSelector,
    LeaderSelectorBuilder, LeaderSelectorListener, LeaderState, LeaderStatus, Leadership, Outcome,
    RunningLatch, RunningSelector, SelectorState,
};
pub use lease::{Lease, LeaseHolder, MultiNonBlockingLease, NonBlockingLease, NonBlockingLeaseBuilder};
pub use lock::{Lock, LockBuilder, LockGuard, LockTicket};
pub use loss::{LockState, LossPolicy, LossReason};
pub use multi_lock::{MultiGuard, MultiLock, MultiLockBuilder};
pub use participants::Participant;
pub use rw_lock::{ReadGuard, RwLock, RwLockBuilder, WriteGuard};
pub use semaphore::{Permit, Permits, Semaphore, SemaphoreBuilder};
