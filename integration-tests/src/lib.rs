//! What tests across crates share; the tests are in `tests/`.
//!
//! | room | its job |
//! |---|---|
//! | [`peers`] | Apache ZooKeeper, Curator and Kazoo as processes |
//! | [`our_server`] | our `zk-server` as a process: started, killed, restarted |
//! | [`process`] | what the kernel says of a process: memory, CPU time |

pub mod our_server;
pub mod peers;
pub mod process;
