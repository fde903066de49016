//! How a rehearsal ended: the first broken promise, the trace, and how often each thing happened.

use std::collections::BTreeMap;
use std::fmt;

use super::conditions::Conditions;

/// How often each thing happened, by name.
pub type Counters = BTreeMap<&'static str, u64>;

/// The end of one rehearsal.
#[derive(Debug)]
pub struct Outcome {
    /// Which recipe's.
    pub name: &'static str,
    /// What the seed expanded to.
    pub conditions: Conditions,
    /// What the seed made of the workload.
    pub recipe: String,
    /// The first promise that was broken.
    pub violation: Option<String>,
    /// Every frame and fault, and what the workloads noted, a line each.
    pub trace: String,
    /// How often each thing happened.
    pub counters: Counters,
}

/// Seed, parameters, the end of the trace and the promise: what is needed to look at a failure.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const TAIL_LINES: usize = 80;
        let seed = self.conditions.seed;
        writeln!(f, "{} with seed {seed} (ZK_RECIPE_SEED={seed} prints the whole trace)", self.name)?;
        writeln!(f, "{:?}\n{}", self.conditions, self.recipe)?;
        let lines: Vec<&str> = self.trace.lines().collect();
        for line in &lines[lines.len().saturating_sub(TAIL_LINES)..] {
            writeln!(f, "{line}")?;
        }
        match &self.violation {
            Some(violation) => write!(f, "violated: {violation}"),
            None => write!(f, "every promise was kept"),
        }
    }
}
