//! What a simulation comes to: the first violated property, the trace, and how often each thing happened.

use std::fmt;

use super::options::Options;

/// A property that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Its name, as in the oracles.
    pub property: &'static str,
    /// What was seen, and what should have been.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.property, self.detail)
    }
}

macro_rules! counters {
    ($($(#[$meta:meta])* $name:ident,)*) => {
        /// How often each thing happened; a simulation that never does something tests nothing of it.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Counters { $($(#[$meta])* pub $name: u64,)* }

        impl Counters {
            /// Adds another simulation's.
            pub fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
            }

            /// Each name with its count.
            #[must_use]
            pub fn all(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)*]
            }
        }
    };
}

counters! {
    /// Steps of the loop.
    steps,
    /// Virtual time, in milliseconds.
    virtual_ms,
    /// Connections cut.
    cuts,
    /// Pieces of bytes lost with a cut connection.
    lost_pieces,
    /// Times a client could not reach the server.
    partitions,
    /// Times a client process stood still.
    pauses,
    /// Power losses of the server.
    crashes,
    /// Power losses that lost log entries.
    crashes_with_loss,
    /// Deaths of the server's process; the machine stays up.
    kills,
    /// Log syncs that failed and stopped the server.
    sync_failures,
    /// Snapshots written.
    snapshots,
    /// Restarts that read a snapshot other than the first.
    snapshots_read,
    /// Sessions that the server expired.
    expiries,
    /// Empty containers that the server removed by itself.
    containers_reaped,
    /// Clients that were told their session had expired.
    told_expired,
    /// Sessions closed by their client.
    closes,
    /// Sessions that went on over another connection.
    resumed,
    /// Writes in the final log whose reply never arrived.
    lost_replies,
    /// Writes refused because their session went on over another connection.
    moved,
    /// Acknowledged writes found in the log.
    durable_writes,
    /// Write results compared with the reference.
    exact_writes,
    /// Read results compared with the reference.
    exact_reads,
    /// Watches that fired.
    events,
    /// Watch events that told what was missed while disconnected.
    catch_ups,
    /// Watches whose event was due and came.
    watches_due,
    /// Watches that nobody waited for any more, taken off the server.
    watches_removed,
    /// Locks granted.
    grants,
    /// Locks lost while held.
    locks_lost,
    /// Syncs behind a lost write, checked to be barriers.
    barriers,
}

/// The end of one simulation.
#[derive(Debug)]
pub struct Report {
    /// What the seed expanded to.
    pub options: Options,
    /// The first property that did not hold.
    pub violation: Option<Violation>,
    /// Everything that happened, a line each.
    pub trace: String,
    /// How often each thing happened.
    pub counters: Counters,
}

impl Report {
    /// A hash of the whole trace (FNV-1a).
    #[must_use]
    pub fn trace_hash(&self) -> u64 {
        self.trace
            .bytes()
            .fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
    }
}

/// Seed, parameters, the end of the trace and the property: what is needed to look at a failure.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const TAIL_LINES: usize = 60;
        writeln!(f, "seed {} (SIM_SEED={} prints the whole trace)", self.options.seed, self.options.seed)?;
        writeln!(f, "{:?}", self.options)?;
        let lines: Vec<&str> = self.trace.lines().collect();
        for line in &lines[lines.len().saturating_sub(TAIL_LINES)..] {
            writeln!(f, "{line}")?;
        }
        match &self.violation {
            Some(violation) => write!(f, "violated: {violation}"),
            None => write!(f, "every property held"),
        }
    }
}
