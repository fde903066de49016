//! Reads the file, and holds it against the rule. Writes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use super::{Line, Mode};

/// What the file shows.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Passages {
    /// Sections entered and left.
    pub passages: usize,
    /// Times that a section was entered by somebody else than the last.
    pub handoffs: usize,
    /// Sections that ended without their holder, killed or paused.
    pub overtaken: usize,
    /// Lines with a stale token that were refused, and whose writers saw it.
    pub refused: usize,
    /// Sections that their holder reported as lost.
    pub lost: usize,
    /// The most sections that were open at once.
    pub most: usize,
}

/// Reads the file and checks [the rule](super).
///
/// # Errors
/// When the file cannot be read, or shows two holders at once, a token that does not rise, a line of a holder that is
/// none any more, or somebody who never left; the line is named.
pub fn check(path: &Path) -> io::Result<Passages> {
    judge(path, None)
}

/// The same for permits, of which `size` may be out at once. Their tokens do not rise, so the section of who is killed
/// or paused counts as over at once.
///
/// # Errors
/// As [`check`].
pub fn check_permits(path: &Path, size: usize) -> io::Result<Passages> {
    judge(path, Some(size))
}

struct Section {
    token: i64,
    mode: Mode,
    /// Its holder was cut off in it.
    cut: bool,
}

#[derive(Default)]
struct Judge<'a> {
    seen: Passages,
    open: BTreeMap<&'a str, Section>,
    cut: BTreeSet<&'a str>,
    /// Killed, or paused since they wrote last.
    absent: BTreeSet<&'a str>,
    /// Refused, and not yet said to be lost.
    refused: BTreeMap<&'a str, i64>,
    alone_max: i64,
    max: i64,
    last: Option<&'a str>,
}

impl<'a> Judge<'a> {
    fn enter(&mut self, line: &Line<'a>, permits: Option<usize>) -> Result<(), &'static str> {
        let Line { who, token, mode, .. } = *line;
        let before = if mode == Mode::Alone { self.max } else { self.alone_max };
        if permits.is_none() && before >= token {
            return self.refuse(who, token, "the fencing token does not rise");
        }
        if self.open.contains_key(who) {
            return Err("entered twice");
        }
        let gone: Vec<&str> = self
            .open
            .iter()
            .filter(|(other, section)| {
                let over = section.cut || self.absent.contains(*other);
                over && (permits.is_some() || (section.mode.yields_to(mode) && section.token < token))
            })
            .map(|(other, _)| *other)
            .collect();
        for other in gone {
            self.open.remove(other);
            self.seen.overtaken += 1;
        }
        let crowded = match permits {
            Some(size) => self.open.len() >= size,
            None => self.open.values().any(|section| section.mode.yields_to(mode)),
        };
        if crowded {
            return Err("two holders at once");
        }
        self.open.insert(who, Section { token, mode, cut: self.cut.contains(who) });
        self.seen.most = self.seen.most.max(self.open.len());
        self.max = self.max.max(token);
        if mode == Mode::Alone {
            self.alone_max = self.alone_max.max(token);
        }
        self.seen.handoffs += usize::from(self.last.is_some_and(|last| last != who));
        self.last = Some(who);
        Ok(())
    }

    fn exit(&mut self, line: &Line<'a>) -> Result<(), &'static str> {
        if self.open.get(line.who).is_some_and(|open| (open.token, open.mode) == (line.token, line.mode)) {
            self.open.remove(line.who);
            self.seen.passages += 1;
            return Ok(());
        }
        self.refuse(line.who, line.token, "left without being inside")
    }

    fn refuse(&mut self, who: &'a str, token: i64, what: &'static str) -> Result<(), &'static str> {
        if !self.absent.contains(who) {
            return Err(what);
        }
        self.refused.insert(who, token);
        Ok(())
    }

    fn lost(&mut self, who: &'a str, token: i64) -> Result<(), &'static str> {
        match (self.refused.remove(who), self.open.get(who)) {
            (Some(refused), _) if refused == token => self.seen.refused += 1,
            (None, Some(held)) if held.token == token => {
                self.open.remove(who);
            }
            // It was overtaken, and knew before it wrote anything; or it never entered.
            (None, None) => {}
            _ => return Err("lost another holding than the one it had"),
        }
        self.seen.lost += 1;
        Ok(())
    }

    fn line(&mut self, line: &Line<'a>, permits: Option<usize>) -> Result<(), &'static str> {
        let who = line.who;
        if self.refused.contains_key(who) && matches!(line.step, "ENTER" | "EXIT") {
            return Err("was refused, and goes on");
        }
        match line.step {
            "KILL" | "PAUSE" => {
                self.absent.insert(who);
                return Ok(());
            }
            "RESUME" => return Ok(()),
            "CUT" => {
                self.cut.insert(who);
                if let Some(section) = self.open.get_mut(who) {
                    section.cut = true;
                }
                return Ok(());
            }
            "MEND" => {
                self.cut.remove(who);
                return Ok(());
            }
            "ENTER" => self.enter(line, permits)?,
            "EXIT" => self.exit(line)?,
            "LOST" => self.lost(who, line.token)?,
            _ => return Err("not a passage"),
        }
        // It has written, so it runs; until the next signal its section is its own. What was refused is not over.
        if !self.refused.contains_key(who) {
            self.absent.remove(who);
        }
        Ok(())
    }
}

fn judge(path: &Path, permits: Option<usize>) -> io::Result<Passages> {
    let text = std::fs::read_to_string(path)?;
    let mut judge = Judge::default();
    for (number, line) in text.lines().enumerate() {
        let bad = |what: &str| io::Error::other(format!("line {}: {what}: {line}\n{text}", number + 1));
        let parsed = Line::parse(line).ok_or_else(|| bad("not a passage"))?;
        judge.line(&parsed, permits).map_err(bad)?;
    }
    if let Some((who, token)) = judge.refused.iter().next() {
        return Err(io::Error::other(format!("{who} was refused with {token} and never saw it\n{text}")));
    }
    if let Some(who) = judge.open.keys().find(|who| !judge.absent.contains(*who)) {
        return Err(io::Error::other(format!("{who} is still inside\n{text}")));
    }
    Ok(judge.seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge_text(text: &str, permits: Option<usize>) -> Result<Passages, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, text.replace(" / ", "\n") + "\n").unwrap();
        judge(&path, permits).map_err(|e| e.to_string())
    }

    fn fails(text: &str, why: &str) {
        let found = judge_text(text, None).unwrap_err();
        assert!(found.contains(why), "{found}");
    }

    #[test]
    fn overlaps_and_falling_tokens_are_found() {
        let fine =
            "ENTER a 1 0 w / EXIT a 1 0 w / ENTER b 2 0 w / EXIT b 2 0 w / ENTER b 3 0 w / EXIT b 3 0 w";
        let expected = Passages { passages: 3, handoffs: 1, most: 1, ..Passages::default() };
        assert_eq!(judge_text(fine, None), Ok(expected));
        fails("ENTER a 1 0 w / ENTER b 2 0 w", "two holders");
        fails("ENTER a 2 0 w / EXIT a 2 0 w / ENTER b 1 0 w", "does not rise");
        fails("ENTER a 1 0 w", "still inside");
    }

    #[test]
    fn readers_stand_beside_each_other_only() {
        let fine =
            "ENTER a 2 0 r / ENTER b 1 0 r / EXIT a 2 0 r / EXIT b 1 0 r / ENTER c 3 0 w / EXIT c 3 0 w";
        assert_eq!(judge_text(fine, None).unwrap().most, 2);
        fails("ENTER a 1 0 r / ENTER b 2 0 w", "two holders");
        fails("ENTER a 1 0 w / ENTER b 2 0 r", "two holders");
        fails("ENTER a 2 0 w / EXIT a 2 0 w / ENTER b 1 0 r", "does not rise");
        assert!(judge_text("ENTER a 1 0 r / ENTER b 2 0 r", Some(1)).unwrap_err().contains("two holders"));
    }

    #[test]
    fn a_kill_ends_a_section_and_a_pause_does_when_somebody_enters() {
        let killed = "ENTER a 1 0 w / KILL a / ENTER b 2 0 w / EXIT b 2 0 w";
        assert_eq!(judge_text(killed, None).unwrap().overtaken, 1);
        // Not overtaken: the kill was late.
        assert!(judge_text("ENTER a 1 0 w / KILL a / EXIT a 1 0 w", None).is_ok());
        fails("KILL a / ENTER a 1 0 w / ENTER b 2 0 w", "two holders");
        let paused = "ENTER a 1 0 w / PAUSE a / ENTER b 2 0 w / RESUME a / EXIT a 1 0 w / EXIT b 2 0 w";
        fails(paused, "never saw it");
        let seen = format!("{paused} / LOST a 1 / ENTER a 3 0 w / EXIT a 3 0 w");
        let seen = judge_text(&seen, None).unwrap();
        assert_eq!((seen.overtaken, seen.refused, seen.lost, seen.passages), (1, 1, 1, 2));
        fails(&format!("{paused} / ENTER a 3 0 w"), "goes on");
        // Nobody entered meanwhile: it may go on.
        assert!(judge_text("ENTER a 1 0 w / PAUSE a / RESUME a / EXIT a 1 0 w", None).is_ok());
        // It holds again, and nobody may take that from it without another pause.
        fails("PAUSE a / RESUME a / ENTER a 1 0 w / ENTER b 2 0 w", "two holders");
    }

    #[test]
    fn who_is_cut_off_has_lost_what_it_held() {
        let cut = "ENTER a 1 0 w / CUT a / MEND a / ENTER b 2 0 w / LOST a 1 / EXIT b 2 0 w";
        let seen = judge_text(cut, None).unwrap();
        assert_eq!((seen.overtaken, seen.lost), (1, 1));
        fails("ENTER a 1 0 w / CUT a / MEND a / ENTER b 2 0 w / EXIT a 1 0 w", "without being inside");
        fails("CUT a / MEND a / ENTER a 1 0 w / ENTER b 2 0 w", "two holders");
    }
}
