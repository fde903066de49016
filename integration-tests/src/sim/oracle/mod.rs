//! The properties, each in a file of its own, checked over the whole history of one simulation
//! (spec/reliability.md, 2.2). They read what was recorded and the final log; they never ask the server, except
//! for its tree at the end.
//!
//! | file | property |
//! |---|---|
//! | `completion` | an operation ends with the answer to its own request |
//! | `durability` | P1, P2, P8: every acknowledged write is in the log, with the zxid it was told, and only once |
//! | `fifo` | P4: a session's replies come in the order of its requests, and zxids never fall |
//! | `real_time` | P3, P14: who asks later sees no earlier state; `sync` leaves no write of the session behind |
//! | `exact` | P5, P7, P9: every result is that of the reference at the reply's zxid |
//! | `watch_order` | P10, P11: events come before what shows their cause, once, and none is missed |
//! | `mutual_exclusion` | one holder at a time, in order, and nothing left behind (spec/recipes.md, c.8) |
//! | `sessions` | P13: nobody expires early, everybody gone does, and nothing outlives its session |

mod completion;
mod durability;
mod exact;
mod fifo;
mod mutual_exclusion;
mod real_time;
mod sessions;
mod shown;
mod watch_order;

use zk_client::SessionId;
use zk_server::core::node::Node;

use super::kernel::Kernel;
use super::options::Options;
use super::report::Violation;

/// The finding of an oracle.
type Verdict = Result<(), Violation>;

fn violated<T>(property: &'static str, detail: String) -> Result<T, Violation> {
    Err(Violation { property, detail })
}

/// Checks every property. `live` are the sessions of the clients that still run.
pub(super) fn check(k: &mut Kernel, node: &Node, live: &[SessionId], options: &Options) {
    if let Err(Violation { property, detail }) = all(k, node, live, options) {
        k.violated(property, detail);
    }
}

fn all(k: &mut Kernel, node: &Node, live: &[SessionId], options: &Options) -> Verdict {
    let (history, counters) = (&k.history, &mut k.counters);
    durability::check(history, counters)?;
    fifo::check(history)?;
    completion::check(history)?;
    real_time::check(history, counters)?;
    let replayed = exact::check(history, counters)?;
    exact::final_tree(&replayed, node)?;
    watch_order::check(history, &replayed, counters)?;
    mutual_exclusion::check(history, &replayed)?;
    sessions::check(history, &replayed, live, options)
}
