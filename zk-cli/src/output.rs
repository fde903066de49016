//! Standard output, and what may be shown on a terminal.

use std::io::{self, IsTerminal as _, Write};

/// Where a command's result goes.
pub(crate) struct Output<'a> {
    writer: &'a mut dyn Write,
    terminal: bool,
    /// Something was written, and no newline after it.
    mid_line: bool,
}

impl<'a> Output<'a> {
    /// Writes to `writer`, which is a terminal or not.
    pub(crate) fn new(writer: &'a mut dyn Write, terminal: bool) -> Self {
        Self { writer, terminal, mid_line: false }
    }

    /// Whether a person reads it.
    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// One line of text.
    pub(crate) fn line(&mut self, text: impl std::fmt::Display) -> io::Result<()> {
        self.mid_line = false;
        writeln!(self.writer, "{text}")
    }

    /// Bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(last) = bytes.last() {
            self.mid_line = *last != b'\n';
        }
        self.writer.write_all(bytes)
    }

    /// Ends a line that was begun. A prompt would be drawn over it.
    pub(crate) fn end_line(&mut self) -> io::Result<()> {
        if self.mid_line { self.bytes(b"\n") } else { Ok(()) }
    }

    /// Nothing is kept back.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// Runs `write` on standard output, buffered, and flushes whatever happened, so that what was found before a
/// failure is seen.
pub(crate) fn on_stdout<E: From<io::Error>>(
    write: impl FnOnce(&mut Output<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let stdout = io::stdout();
    let terminal = stdout.is_terminal();
    let mut writer = io::BufWriter::new(stdout.lock());
    let mut output = Output::new(&mut writer, terminal);
    let outcome = write(&mut output);
    let flushed = output.flush();
    outcome?;
    Ok(flushed?)
}

/// Data for a terminal: text as it is, with everything that could steer the terminal, or is no text, as `\xNN`.
pub(crate) fn visible(data: &[u8]) -> String {
    let mut text = String::with_capacity(data.len());
    for chunk in data.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() && !matches!(c, '\n' | '\t') {
                let mut utf8 = [0; 4];
                escape(c.encode_utf8(&mut utf8).as_bytes(), &mut text);
            } else {
                text.push(c);
            }
        }
        escape(chunk.invalid(), &mut text);
    }
    text
}

fn escape(bytes: &[u8], text: &mut String) {
    for byte in bytes {
        text.push_str(&format!("\\x{byte:02x}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_was_begun_is_ended_once() {
        let mut written = Vec::new();
        let mut output = Output::new(&mut written, true);
        output.end_line().unwrap();
        output.bytes(b"ab").unwrap();
        output.bytes(b"").unwrap();
        output.end_line().unwrap();
        output.end_line().unwrap();
        output.line("c").unwrap();
        output.end_line().unwrap();
        assert_eq!(written, b"ab\nc\n");
    }

    #[test]
    fn a_terminal_is_not_steered_by_data() {
        assert_eq!(visible("plain: ä\n\tb".as_bytes()), "plain: ä\n\tb");
        assert_eq!(visible(b"\x1b[2J\xff\x00\r"), "\\x1b[2J\\xff\\x00\\x0d");
        assert_eq!(visible("\u{9b}".as_bytes()), "\\xc2\\x9b");
    }
}
