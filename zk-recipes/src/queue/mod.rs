//! Queues: what is put by one is taken by another, once or at least once.
//!
//! | type | shared with | taking |
//! |---|---|---|
//! | [`SimpleQueue`] | Curator's `SimpleDistributedQueue`, ZooKeeper's own recipe | at most once |
//! | [`WorkQueue`] | Curator's `DistributedQueue` | at least once, or at most once |
//! | [`PriorityQueue`] | Curator's `DistributedPriorityQueue` | the same, lowest first |
//! | [`DelayQueue`] | Curator's `DistributedDelayQueue` | the same, when due |
//! | [`IdQueue`] | Curator's `DistributedIdQueue` | the same; items can be removed by id |
//! | [`ShardedQueue`] | Curator's `QueueSharder` | the same, from several queues |
//! | [`kazoo::Queue`] | Kazoo's `Queue` | at most once |
//! | [`kazoo::LockingQueue`] | Kazoo's `LockingQueue` | at least once |
//!
//! | file | its job |
//! |---|---|
//! | `frame`, `names` | the bytes and names of items: pure |
//! | `decision` | what a lost answer means: pure; `model` has random interleavings of it |
//! | `view` | what a taker knows of the queue, and when it has to look again |
//! | `taker`, `attempt`, `delivery` | taking an item, what that has under way, and being done with it |
//! | `putter` | putting |
//! | `work`, `priority`, `delay`, `id`, `simple`, `sharded`, `kazoo` | the queues |

mod attempt;
mod decision;
mod delay;
mod delivery;
mod frame;
mod id;
pub mod kazoo;
#[cfg(test)]
mod model;
mod names;
mod priority;
mod putter;
mod sharded;
mod simple;
mod taker;
mod view;
mod work;

pub use delay::{DelayQueue, WallClock};
pub use delivery::{Delivery, DeliveryTransaction};
pub use frame::{BadFrame, decode_items, encode_items};
pub use id::IdQueue;
pub use priority::PriorityQueue;
pub use sharded::ShardedQueue;
pub use simple::SimpleQueue;
pub use taker::Taker;
pub use work::{QueueBuilder, WorkQueue};
