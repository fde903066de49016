//! Values and numbers that processes share: [`SharedValue`] and [`SharedCount`], which everybody watches, and
//! [`AtomicValue`], [`AtomicI64`] and their kin, which everybody changes.
//!
//! | type | bytes | shared with |
//! |---|---|---|
//! | [`SharedValue`] | any | Curator's `SharedValue` |
//! | [`SharedCount`] | 4, big-endian | Curator's `SharedCount`; Kazoo's `Counter(support_curator=True)` |
//! | [`AtomicValue`] | any | Curator's `DistributedAtomicValue` |
//! | [`AtomicI32`] | 4, big-endian | Curator's `DistributedAtomicInteger`; Kazoo's as above |
//! | [`AtomicI64`] | 8, big-endian | Curator's `DistributedAtomicLong` |
//! | [`CachedAtomicI64`] | 8, big-endian | Curator's `CachedAtomicLong` |
//! | [`KazooCounter`], [`KazooFloatCounter`] | decimal text | Kazoo's `Counter` |
//!
//! | file | its job |
//! |---|---|
//! | `number` | numbers as bytes: pure |
//! | `optimistic` | one change by read and conditional write, and what its lost answer means |
//! | `value`, `atomic`, `cached` | the atomic types |
//! | `shared_value`, `shared_count` | the watched ones |

mod atomic;
mod cached;
mod number;
mod optimistic;
mod shared_count;
mod shared_value;
mod value;

pub use atomic::{Atomic, AtomicBuilder, AtomicI32, AtomicI64, KazooCounter, KazooFloatCounter};
pub use cached::CachedAtomicI64;
pub use number::{Number, Text};
pub use optimistic::{Change, Tries};
pub use shared_count::{SharedCount, SharedNumber};
pub use shared_value::{SharedState, SharedValue, SharedValueBuilder};
pub use value::{AtomicValue, AtomicValueBuilder};
