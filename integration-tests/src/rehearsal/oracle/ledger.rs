//! What became of items that are put, taken and acknowledged: none is lost, and none is had twice beyond the promise.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::rehearsal::history::{History, Who};

/// The name of an item.
pub type Item = String;

/// Something that happens to an item.
#[derive(Debug, Clone)]
pub enum Entry {
    /// Somebody begins to put it.
    Putting(Item),
    /// It was put.
    Put(Item),
    /// Somebody has it.
    Took(Item),
    /// Whoever has it was asked, and has it still.
    Holds(Item),
    /// Whoever had it has it no more, and has not done with it.
    Left(Item),
    /// It was acknowledged.
    Done(Item),
    /// It may have been acknowledged.
    MaybeDone(Item),
    /// Something may have been taken that nobody saw: a taking was dropped, or its outcome is unknown.
    MaybeTook,
    /// The last turn is over.
    Served,
}

/// An item's life.
#[derive(Debug, Default)]
struct Life {
    putting: bool,
    put: bool,
    took: usize,
    done: usize,
    maybe_done: usize,
    done_at: Option<Duration>,
    /// Who took it last, and when.
    taken: Option<(Who, Duration)>,
    /// Who was last known to have it: since when, and until when.
    holder: Option<(Who, Duration, Duration)>,
}

/// Queues whose items are acknowledged: every item that was put is done with in the end; none is handed over after
/// that, and never to two at a time.
///
/// # Errors
/// The first item for which that does not hold.
pub fn at_least_once(history: &History<Entry>) -> Result<(), String> {
    for (item, life) in &lives(history, true)? {
        // Who was killed with it in hand may have done with it just then.
        let killed = life.taken.is_some_and(|(who, _)| history.killed.contains_key(&who));
        let had = life.done + life.maybe_done;
        if life.put && had == 0 && !killed {
            return Err(format!("{item} was put, and is lost: {life:?}"));
        }
        if life.done > 1 {
            return Err(format!("{item} was done with {} times", life.done));
        }
    }
    Ok(())
}

/// Queues whose items are gone as they are taken: none is handed over twice, and none is lost but with a taking that
/// was dropped, killed, or left in doubt.
///
/// # Errors
/// The first item for which that does not hold.
pub fn at_most_once(history: &History<Entry>) -> Result<(), String> {
    let lives = lives(history, false)?;
    if let Some((item, life)) = lives.iter().find(|(_, life)| life.took > 1) {
        return Err(format!("{item} was handed over {} times", life.took));
    }
    let unseen = history.entries.iter().filter(|entry| matches!(entry.event, Entry::MaybeTook)).count();
    let lost: Vec<&Item> =
        lives.iter().filter(|(_, life)| life.put && life.took == 0).map(|(item, _)| item).collect();
    if lost.len() > unseen + history.killed.len() {
        let (of, killed) = (lost.len(), history.killed.len());
        return Err(format!("{of} lost, of {unseen} takings in doubt and {killed} kills: {lost:?}"));
    }
    Ok(())
}

/// What happened to each item. With `claimed`, two must not have one at the same time.
fn lives(history: &History<Entry>, claimed: bool) -> Result<BTreeMap<Item, Life>, String> {
    let mut lives: BTreeMap<Item, Life> = BTreeMap::new();
    for entry in &history.entries {
        let (Entry::Putting(item)
        | Entry::Put(item)
        | Entry::Took(item)
        | Entry::Holds(item)
        | Entry::Left(item)
        | Entry::Done(item)
        | Entry::MaybeDone(item)) = &entry.event
        else {
            continue;
        };
        let (who, at) = (entry.who, entry.at);
        let life = lives.entry(item.clone()).or_default();
        match &entry.event {
            Entry::Putting(_) => life.putting = true,
            Entry::Put(_) => life.put = true,
            Entry::Took(_) => {
                life.took += 1;
                if !life.putting {
                    return Err(format!("{who} has {item} at {at:?}, which nobody has put"));
                }
                // What it says it has, one who stood still must not trust before it has asked.
                life.taken = Some((who, at));
            }
            Entry::Holds(_) => {
                if let Some(done) = life.done_at.filter(|_| claimed) {
                    return Err(format!("{who} holds {item} at {at:?}, and it was done with at {done:?}"));
                }
                let from = life.taken.filter(|(taker, _)| *taker == who).map_or(at, |(_, from)| from);
                match &mut life.holder {
                    Some((holder, began, until)) if *holder == who && *began == from => *until = at,
                    Some((other, began, until)) if *other != who && claimed && *until >= from => {
                        let other = format!("{other} from {began:?} to {until:?}");
                        return Err(format!("{who} holds {item} from {from:?} to {at:?}, and {other}"));
                    }
                    _ => life.holder = Some((who, from, at)),
                }
            }
            Entry::Done(_) => {
                life.done += 1;
                life.done_at = Some(at);
            }
            Entry::MaybeDone(_) => life.maybe_done += 1,
            Entry::Left(_) => {
                life.taken.take_if(|(taker, _)| *taker == who);
            }
            Entry::MaybeTook | Entry::Served => {}
        }
    }
    Ok(lives)
}
