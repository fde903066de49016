//! How much may be held at the same time: of what counts in numbers, never more than there is.

use std::time::Duration;

use super::claims::{Claim, Span, spans};
use crate::rehearsal::history::{History, TURN};

/// Checks that claims of `how` permits each never come to more than `size`.
///
/// # Errors
/// The first moment at which they do.
pub fn check(history: &History<Claim>, size: u64) -> Result<(), String> {
    let spans = spans(history);
    for new in &spans {
        let out: Vec<&Span> =
            spans.iter().filter(|span| span.from <= new.from && believes(history, span, new.from)).collect();
        if out.iter().map(|span| span.how).sum::<u64>() > size {
            let shown: Vec<String> = out.iter().map(|span| span.shown()).collect();
            return Err(format!("more than {size} are out at {:?}: {shown:#?}", new.from));
        }
    }
    Ok(())
}

/// Whether a holder takes itself for one at `at`. One who stands still does nothing, and is told as it goes on.
fn believes(history: &History<Claim>, span: &Span, at: Duration) -> bool {
    let ends = [span.told, span.let_go, history.killed.get(&span.who).copied()];
    let end = ends.into_iter().flatten().min();
    if at <= span.until {
        return true;
    }
    match (end, history.stood_still(span.who, at)) {
        (Some(end), _) if end <= at => false,
        (Some(end), Some(until)) if end <= until + TURN => false,
        _ => true,
    }
}
