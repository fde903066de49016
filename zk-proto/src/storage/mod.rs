//! The layouts of ZooKeeper's files: transaction log and snapshot, byte by byte. Reading and writing the files
//! is the server's shell; here are only bytes and values.

pub mod log;
pub mod owner;
pub mod snapshot;

pub use owner::Owner;
