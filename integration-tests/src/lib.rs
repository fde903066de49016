//! What tests across crates share; the tests are in `tests/`.
//!
//! | room | its job |
//! |---|---|
//! | [`peers`] | Apache ZooKeeper, Curator and Kazoo as processes |
//! | [`our_server`] | our `zk-server` as a process: started, killed, restarted |
//! | [`tls_relay`], [`certificates`] | TLS in front of a server without it; certificates for that |
//! | [`targets`], [`scenarios!`], [`session_killer`] | the servers a scenario runs against; ending a session on any of them |
//! | [`sim`] | server, clients and locks as pure cores in one thread, under faults drawn from a seed |
//! | [`rehearsal`] | production recipes on production clients, in virtual time, under faults drawn from a seed |
//! | [`kdc`] | a Kerberos realm of a test's own |
//! | [`proxy`] | the fault proxy: delays, swallows, cuts, corrupts or holds chosen frames |
//! | [`critical_section`] | the overlap detector that holders of a lock write to |
//! | [`recipe_peers`] | Curator, Kazoo and our own recipes as processes that take part, are killed and stopped |
//! | [`process`] | what the kernel says of a process: memory, CPU time |

pub mod certificates;
pub mod critical_section;
pub mod kdc;
pub mod our_server;
pub mod peers;
pub mod process;
pub mod proxy;
pub mod recipe_peers;
pub mod rehearsal;
pub mod scenarios;
pub mod session_killer;
pub mod sim;
pub mod targets;
pub mod tls_relay;
