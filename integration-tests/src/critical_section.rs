//! The overlap detector: a file to which every holder of a lock, in whatever process and language, appends a line when it
//! enters and one when it leaves. Two holders at once show as an `ENTER` inside another's section.
//!
//! Processes are killed and stopped in the middle of it, so the file is also the resource that a lock's fencing token
//! protects, and its order is the order of events:
//!
//! | line | written by | says |
//! |---|---|---|
//! | `ENTER who token time mode` | a holder | it holds now; mode `w` is alone, `r` beside other `r` |
//! | `EXIT who token time mode` | a holder, before its release | it held until now |
//! | `LOST who token` | one of ours | its guard says that the lock is lost: what it holds by this token is over |
//! | `KILL who` | the test, before it sends SIGKILL | who may be gone from here on |
//! | `PAUSE who`, `RESUME who` | the test, before it sends SIGSTOP and SIGCONT | who may stand still in between |
//! | `CUT who`, `MEND who` | the test, before it takes the server away, and when it is back | sections in between may be lost |
//!
//! # The rule
//! The file refuses stale tokens, as any fenced resource does: a line counts only if no later holder, one with a greater
//! token that excludes it, has entered before it. Appending and then reading what is before the own line tells a writer
//! which it was ([`CriticalSection::enter`], [`CriticalSection::exit`]), without a lock around the file.
//!
//! * A section is over with its `EXIT`, and else only with a kill or a pause: the section of who was killed, or was paused
//!   since it wrote last, ends where somebody with a greater token enters. Nobody's session ends while it runs, so that
//!   needs no waiting for the kill: the line before the signal opens the door, the session timeout behind it keeps it shut.
//! * A refused line is a violation, unless its writer was paused since it wrote last and the next line of it is `LOST` with
//!   that token: it could not know, was refused, asked its guard, and the guard knew. Our peer does that; a guard that said
//!   "held" then would be a bug of ours, and the peer fails.
//! * Who is cut off loses what it holds at once (`LossPolicy::Standard`), and gives it up as soon as there is a server
//!   again; so its section may be over before it has said so. It runs all the while, so what it then says is `LOST`: a
//!   refused line is a violation.
//! * Curator and Kazoo have no guard to ask, and append without looking. So they are paused only while they wait, and
//!   killed, not paused, while they hold; then whatever they append after a pause with an old token is a violation.
//! * Tokens rise from holder to holder; those of readers beside each other need not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Whom a section tolerates beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Nobody: a mutex, a writer, a leader.
    Alone,
    /// Its own kind: a reader, a permit.
    Shared,
}

impl Mode {
    const fn letter(self) -> char {
        match self {
            Self::Alone => 'w',
            Self::Shared => 'r',
        }
    }

    /// Whether a later section of mode `later` ends, by its greater token, one of this mode.
    const fn yields_to(self, later: Self) -> bool {
        matches!((self, later), (Self::Alone, _) | (_, Self::Alone))
    }
}

/// What the file made of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It counts.
    Written,
    /// A later holder was there before: the writer's token is stale.
    Refused,
}

/// The shared file, for one holder.
#[derive(Debug)]
pub struct CriticalSection {
    who: String,
    file: File,
    /// How far the file was read, and the greatest tokens up to there, of sections alone and of all.
    read: u64,
    alone_max: i64,
    max: i64,
}

impl CriticalSection {
    /// Opens the file for appending; `who` tells holders apart.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path, who: &str) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).read(true).create(true).open(path)?;
        Ok(Self { who: who.to_owned(), file, read: 0, alone_max: 0, max: 0 })
    }

    /// Enters, stays for `time`, leaves. One write per line: appended lines do not mix.
    ///
    /// # Errors
    /// When the file cannot be written, or refuses the token.
    pub async fn pass(&mut self, czxid: i64, time: Duration) -> io::Result<()> {
        let refused = || io::Error::other(format!("a later holder than {czxid} was there before"));
        if self.enter(czxid, Mode::Alone)? == Verdict::Refused {
            return Err(refused());
        }
        tokio::time::sleep(time).await;
        match self.exit(czxid, Mode::Alone)? {
            Verdict::Written => Ok(()),
            Verdict::Refused => Err(refused()),
        }
    }

    /// Says that the section begins, and reads whether that counts.
    ///
    /// # Errors
    /// When the file cannot be written or read.
    pub fn enter(&mut self, token: i64, mode: Mode) -> io::Result<Verdict> {
        self.step("ENTER", token, mode)
    }

    /// Says that the section is over, and reads whether it was over before.
    ///
    /// # Errors
    /// When the file cannot be written or read.
    pub fn exit(&mut self, token: i64, mode: Mode) -> io::Result<Verdict> {
        self.step("EXIT", token, mode)
    }

    /// Says that the guard with this token is known to be lost.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn lost(&mut self, token: i64) -> io::Result<()> {
        self.file.write_all(format!("LOST {} {token}\n", self.who).as_bytes())
    }

    fn step(&mut self, step: &str, token: i64, mode: Mode) -> io::Result<Verdict> {
        let line = format!("{step} {} {token} 0 {}\n", self.who, mode.letter());
        self.file.write_all(line.as_bytes())?;
        // An append leaves the position behind itself.
        let end = self.file.stream_position()?;
        self.file.seek(io::SeekFrom::Start(self.read))?;
        let mut text = String::new();
        let unread = end.saturating_sub(self.read);
        (&self.file).take(unread).read_to_string(&mut text)?;
        self.read = end;
        for entry in text.lines().filter(|line| line.starts_with("ENTER ")) {
            let Some(Line { token, mode, .. }) = Line::parse(entry) else { continue };
            self.max = self.max.max(token);
            if mode == Mode::Alone {
                self.alone_max = self.alone_max.max(token);
            }
        }
        let later = if mode == Mode::Alone { self.max } else { self.alone_max };
        Ok(if later > token { Verdict::Refused } else { Verdict::Written })
    }
}

/// What the test itself has to say.
///
/// # Errors
/// When the file cannot be written.
pub fn note(path: &Path, step: &str, who: &str) -> io::Result<()> {
    OpenOptions::new().append(true).create(true).open(path)?.write_all(format!("{step} {who}\n").as_bytes())
}

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

/// Reads the file and checks the rule above.
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

/// The last `ENTER` of the file: who, and by which token.
///
/// # Errors
/// When the file cannot be read.
pub fn latest_holder(path: &Path) -> io::Result<Option<(String, i64)>> {
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text?,
    };
    let last = text.lines().rev().find(|line| line.starts_with("ENTER ")).and_then(Line::parse);
    Ok(last.map(|line| (line.who.to_owned(), line.token)))
}

struct Line<'a> {
    step: &'a str,
    who: &'a str,
    token: i64,
    mode: Mode,
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut words = line.split(' ');
        let (step, who) = (words.next()?, words.next()?);
        let token = match step {
            "KILL" | "PAUSE" | "RESUME" | "CUT" | "MEND" => 0,
            _ => words.next()?.parse().ok()?,
        };
        let mode = match (step, words.nth(1)) {
            ("ENTER" | "EXIT", Some("r")) => Mode::Shared,
            ("ENTER" | "EXIT", Some("w")) | ("LOST" | "KILL" | "PAUSE" | "RESUME" | "CUT" | "MEND", None) => {
                Mode::Alone
            }
            _ => return None,
        };
        Some(Self { step, who, token, mode })
    }
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

/// The path of a log, in `dir`.
#[must_use]
pub fn log_in(dir: &Path) -> PathBuf {
    dir.join("critical-section.log")
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

    #[test]
    fn the_file_refuses_stale_tokens() {
        let dir = tempfile::tempdir().unwrap();
        let path = log_in(dir.path());
        let mut early = CriticalSection::open(&path, "early").unwrap();
        let mut late = CriticalSection::open(&path, "late").unwrap();
        assert_eq!(early.enter(1, Mode::Alone).unwrap(), Verdict::Written);
        assert_eq!(late.enter(2, Mode::Alone).unwrap(), Verdict::Written);
        assert_eq!(early.exit(1, Mode::Alone).unwrap(), Verdict::Refused);
        assert_eq!(early.enter(3, Mode::Shared).unwrap(), Verdict::Written);
        assert_eq!(late.enter(2, Mode::Shared).unwrap(), Verdict::Written);
        assert_eq!(latest_holder(&path).unwrap(), Some(("late".to_owned(), 2)));
    }
}
