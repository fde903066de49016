//! One builder per operation. Each takes its place in the session's order when it becomes a future: at `.await`,
//! or at `.send()`, which returns at once and lets many be in flight.
//!
//! Every builder has `.in_session(id)`: the operation is then sent in that session or fails with
//! [`crate::ErrorKind::SessionExpired`].

mod acl;
mod auth;
mod create;
mod data;
mod delete;
mod draft;
mod exists;
mod get;
mod get_children;
mod set;
mod sync;
mod transaction;
mod watch;
mod watched;

pub use acl::{GetAcl, SetAcl};
pub use auth::AddAuth;
pub use create::{Create, Created};
pub use data::{Children, Node};
pub use delete::Delete;
pub use exists::Exists;
pub use get::Get;
pub use get_children::GetChildren;
pub use set::Set;
pub use sync::Sync;
pub use transaction::{Transaction, TransactionResult};
pub use watch::{AddWatch, RemoveWatches};
pub use watched::Watched;

pub(crate) use draft::Draft;
