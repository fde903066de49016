//! One builder per operation. Each takes its place in the session's order when it becomes a future: at `.await`,
//! or at `.send()`, which returns at once and lets many be in flight.
//!
//! Every builder has `.in_session(id)`: the operation is then sent in that session or fails with
//! [`crate::ErrorKind::SessionExpired`]. Every read has `.resend(bool)`, which overrides the client's policy for it.
//!
//! An operation of several steps (`create(..).parents()` and `.protected()`, `.idempotent()` writes, `ensure_path`,
//! `upsert`, `delete_recursive`) takes the place of its first request, and goes on while it is polled. Its future
//! keeps the client, and so the session, open. Dropped at any point it leaves nothing but what its requests did.

mod acl;
mod auth;
mod create;
mod data;
mod delete;
mod delete_recursive;
mod draft;
mod ensure_path;
mod exists;
mod get;
mod get_all_children_number;
mod get_children;
mod get_config;
mod get_ephemerals;
mod lost_reply;
mod multi_read;
mod parents;
mod protected;
mod reconfig;
mod set;
mod sync;
mod transaction;
mod upsert;
mod walk;
mod watch;
mod watched;
mod who_am_i;

pub use acl::{GetAcl, SetAcl};
pub use auth::AddAuth;
pub use create::{Create, Created};
pub use data::{Children, Node};
pub use delete::Delete;
pub use delete_recursive::DeleteRecursive;
pub use ensure_path::EnsurePath;
pub use exists::Exists;
pub use get::Get;
pub use get_all_children_number::GetAllChildrenNumber;
pub use get_children::{GetChildNames, GetChildren};
pub use get_config::{ConfigNode, GetConfig};
pub use get_ephemerals::GetEphemerals;
pub use multi_read::{MultiRead, ReadResult};
pub use reconfig::Reconfig;
pub use set::Set;
pub use sync::Sync;
pub use transaction::{Transaction, TransactionResult};
pub use upsert::{Upsert, Upserted};
pub use walk::{Walk, WalkedNode};
pub use watch::{AddWatch, RemoveWatches};
pub use watched::Watched;
pub use who_am_i::WhoAmI;
pub use zk_proto::ops::introspect::ClientInfo;

pub(crate) use draft::Draft;
