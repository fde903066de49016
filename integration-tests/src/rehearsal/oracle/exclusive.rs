//! Who may hold at the same time: a claim that holds excludes every other one that it conflicts with, its holder
//! knows of a loss before anybody else is let in, and tokens rise.

use super::claims::{Claim, Span, spans};
use crate::rehearsal::history::{History, TURN};

/// Checks all claims; `conflict` says which two must not hold at once.
///
/// # Errors
/// The first two that did, or the first token that did not rise.
pub fn check(history: &History<Claim>, conflict: impl Fn(&Span, &Span) -> bool) -> Result<(), String> {
    never_together(history, &conflict)?;
    let spans = spans(history);
    for (before, after) in pairs(&spans).filter(|(before, after)| conflict(before, after)) {
        if before.token >= after.token {
            return Err(format!("tokens do not rise: {}, then {}", before.shown(), after.shown()));
        }
    }
    Ok(())
}

/// As [`check`], whatever the tokens are.
///
/// # Errors
/// The first two that held at once, or the first whose holder was not told in time.
pub fn never_together(
    history: &History<Claim>,
    conflict: impl Fn(&Span, &Span) -> bool,
) -> Result<(), String> {
    let spans = spans(history);
    for (before, after) in pairs(&spans).filter(|(before, after)| conflict(before, after)) {
        if before.until >= after.from {
            return Err(format!("two hold at once: {}, and {}", before.shown(), after.shown()));
        }
        told_in_time(history, before, after)?;
    }
    Ok(())
}

/// Each claim with each that was granted after it.
fn pairs(spans: &[Span]) -> impl Iterator<Item = (&Span, &Span)> {
    spans.iter().enumerate().flat_map(|(at, after)| spans.iter().take(at).map(move |before| (before, after)))
}

/// Whoever has not given it up knows that it is lost before somebody else is let in: unless it was killed, or stood
/// still and had no chance to know.
fn told_in_time(history: &History<Claim>, before: &Span, after: &Span) -> Result<(), String> {
    let knew = [before.told, before.let_go, history.killed.get(&before.who).copied()];
    let knew = knew.into_iter().flatten().min();
    let still = history.stood_still(before.who, after.from);
    match (knew, still) {
        (Some(knew), _) if knew <= after.from => Ok(()),
        (Some(knew), Some(until)) if knew <= until + TURN => Ok(()),
        _ => Err(format!("{} is not told of the loss before {} is let in", before.shown(), after.shown())),
    }
}
