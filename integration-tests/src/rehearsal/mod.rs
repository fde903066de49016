//! A rehearsal: production recipes on production clients (tasks, timers and all) against the server's production
//! core, in one thread and in virtual time, under faults drawn from a seed. One seed draws everything; the same seed
//! gives the same trace, but for one thing: of several tasks in a process that wait for one `tokio::sync::watch`, tokio
//! draws which is woken first.
//!
//! [`crate::sim`] runs the *pure cores* of client and lock as one state machine, and checks every reply against an
//! independent model of the server. Here nothing of a client or a recipe is taken apart or stood in for: what an
//! application links is what runs, and what is judged is what an application sees. Server, network and kernel of
//! events are the simulation's.
//!
//! # What a process is
//! A tokio runtime of its own, with one thread and a paused clock of its own. The conductor lets each process run up
//! to the next beat, in turn, and the server between them; nothing that is sent arrives before the next beat, so
//! the order of turns is not seen. A process that *stands still* is not run: neither tasks nor timers nor its socket
//! move, and when it goes on its clock has jumped, as after SIGSTOP. A process that is *killed* is dropped, and its
//! session lives on at the server until it expires, as after `kill -9`; another one begins in its place.
//!
//! # The faults
//! Connections cut at any time (what is on its way is lost, or arrives late, and each end learns of it at a time of
//! its own or never), cut before a chosen frame (a lost request) or behind it (a lost reply), silence both ways for
//! up to three session timeouts, processes that stand still for as long or are killed, power loss and death of the
//! server, failing disks. Futures that are dropped at a random moment belong to the workloads.
//!
//! Then everything heals: whoever waits must get what it waits for, within a bound; nothing may be left in the tree
//! or among the server's watches while the sessions still live; and once the clients are closed no task is left.
//!
//! | file | its job |
//! |---|---|
//! | [`conditions`] | what a seed expands to |
//! | `conductor` | the beats; faults, healing, what must be gone in the end |
//! | `process`, `wire` | one process with its clock; its end of a connection |
//! | `stage` | everything outside of the processes: events, network, server |
//! | `faults` | what goes wrong, and when |
//! | [`actor`] | what a workload has in hand |
//! | [`history`], [`changes`], [`recipe`] | what was noted; what came and went by the log; what a workload and its oracle consist of |
//! | [`outcome`] | how a rehearsal ended |
//! | [`oracle`] | rules that several recipes share |
//! | [`recipes`] | a workload and an oracle for each recipe |

pub mod actor;
pub mod changes;
pub mod conditions;
pub mod history;
pub mod oracle;
pub mod outcome;
pub mod recipe;
pub mod recipes;

mod conductor;
mod faults;
mod process;
mod stage;
mod wire;

pub use conditions::Conditions;
pub use conductor::{rehearse, rehearse_this};
pub use outcome::{Counters, Outcome};
pub use recipe::Recipe;
