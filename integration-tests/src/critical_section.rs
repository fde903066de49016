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

mod judge;

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use judge::{Passages, check, check_permits};

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
    append(path, &format!("{step} {who}"))
}

/// One line to a log that processes share; in one write, so that lines do not mix.
///
/// # Errors
/// When the file cannot be written.
pub fn append(path: &Path, line: &str) -> io::Result<()> {
    OpenOptions::new().append(true).create(true).open(path)?.write_all(format!("{line}\n").as_bytes())
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

/// The path of a log, in `dir`.
#[must_use]
pub fn log_in(dir: &Path) -> PathBuf {
    dir.join("critical-section.log")
}

#[cfg(test)]
mod tests {
    use super::*;

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
