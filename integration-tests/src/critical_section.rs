//! The overlap detector: a file to which every holder of a lock, in whatever process and language, appends a line when it
//! enters and one when it leaves. Two holders at once show as an `ENTER` inside another's section.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The shared file, for one holder.
#[derive(Debug)]
pub struct CriticalSection {
    who: String,
    file: File,
}

impl CriticalSection {
    /// Opens the file for appending; `who` tells holders apart.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path, who: &str) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        Ok(Self { who: who.to_owned(), file })
    }

    /// Enters, stays for `time`, leaves. One write per line: appended lines do not mix.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn pass(&mut self, czxid: i64, time: Duration) -> io::Result<()> {
        self.file.write_all(format!("ENTER {} {czxid} 0\n", self.who).as_bytes())?;
        tokio::time::sleep(time).await;
        self.file.write_all(format!("EXIT {} {czxid} 0\n", self.who).as_bytes())
    }
}

/// What the file shows.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Passages {
    /// Sections entered and left.
    pub passages: usize,
    /// Times that a section was entered by somebody else than the last.
    pub handoffs: usize,
}

/// Reads the file and checks that sections never overlap and that fencing tokens rise from holder to holder.
///
/// # Errors
/// When the file cannot be read, or shows two holders at once or a token that does not rise; the line is named.
pub fn check(path: &PathBuf) -> io::Result<Passages> {
    let text = std::fs::read_to_string(path)?;
    let mut seen = Passages::default();
    let mut inside: Option<(&str, i64)> = None;
    let mut last: Option<(&str, i64)> = None;
    for (number, line) in text.lines().enumerate() {
        let bad = |what: &str| io::Error::other(format!("line {}: {what}: {line}", number + 1));
        let mut words = line.split(' ');
        let (Some(step), Some(who), Some(Ok(czxid))) =
            (words.next(), words.next(), words.next().map(str::parse::<i64>))
        else {
            return Err(bad("not a passage"));
        };
        match (step, inside) {
            ("ENTER", None) => {
                if last.is_some_and(|(_, before)| before >= czxid) {
                    return Err(bad("the fencing token does not rise"));
                }
                seen.handoffs += usize::from(last.is_some_and(|(before, _)| before != who));
                inside = Some((who, czxid));
            }
            ("EXIT", Some(holder)) if holder == (who, czxid) => {
                seen.passages += 1;
                (inside, last) = (None, Some(holder));
            }
            _ => return Err(bad("two holders at once")),
        }
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(text: &str) -> Result<Passages, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, text).unwrap();
        check(&path).map_err(|e| e.to_string())
    }

    #[test]
    fn overlaps_and_falling_tokens_are_found() {
        let fine = "ENTER a 1 0\nEXIT a 1 0\nENTER b 2 0\nEXIT b 2 0\nENTER b 3 0\nEXIT b 3 0\n";
        assert_eq!(judge(fine), Ok(Passages { passages: 3, handoffs: 1 }));
        assert!(judge("ENTER a 1 0\nENTER b 2 0\n").unwrap_err().contains("two holders"));
        assert!(judge("ENTER a 2 0\nEXIT a 2 0\nENTER b 1 0\n").unwrap_err().contains("does not rise"));
    }
}
