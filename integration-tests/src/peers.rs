//! Real peers for interop tests: Apache ZooKeeper, Curator and Kazoo, where they are installed.
//!
//! `.ci/peers.sh` installs them. Without them a test says why it was skipped and passes; with `ZK_REQUIRE_PEERS=1`
//! it fails instead. Everything here blocks: peers are other processes, and a test that needs a runtime has its own.
//!
//! ```no_run
//! # fn main() -> std::io::Result<()> {
//! use integration_tests::peers::{JavaServer, JavaVersion, Peers, or_skip};
//!
//! let Some(peers) = or_skip(Peers::find())? else { return Ok(()) };
//! let data = tempfile::tempdir()?;
//! let server = JavaServer::start(&peers, JavaVersion::V3_8, data.path(), None)?;
//! peers.python("kazoo_plain.py", &[&server.hosts()])?.success()?;
//! # Ok(())
//! # }
//! ```

mod ensemble;
mod find;
mod run;
mod server;

pub use ensemble::JavaEnsemble;
pub use find::{JavaVersion, Missing, Peers, or_skip, skipped};
pub use run::{Finished, run};
pub use server::{Extra, JavaServer, JavaServerOptions, free_port};
