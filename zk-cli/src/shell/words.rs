//! A line into words, and a word back into a line.
//!
//! Blanks separate words. `'...'` is literal. In `"..."` a backslash begins `\n`, `\t`, `\r`, or makes the next
//! character itself. Outside quotes it makes the next character itself. Nothing is expanded.

use std::fmt;

/// A word, where it begins in the line, and whether it may go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// Byte offset of its first character, which may be a quote.
    pub(super) start: usize,
    /// Without quotes and backslashes.
    pub(super) text: String,
}

/// Why a line is not words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WordsError {
    /// A quote is open at the line's end.
    OpenQuote(char),
    /// The line ends with a backslash.
    OpenBackslash,
}

impl fmt::Display for WordsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OpenQuote(quote) => write!(f, "a {quote} is not closed; close it, or write \\{quote}"),
            Self::OpenBackslash => f.write_str("nothing follows the last \\; write \\\\ for a backslash"),
        }
    }
}

/// The words of a whole line.
pub(super) fn split(line: &str) -> Result<Vec<String>, WordsError> {
    let scan = Scan::of(line);
    match scan.open {
        Some(error) => Err(error),
        None => Ok(scan.words.into_iter().map(|word| word.text).collect()),
    }
}

/// The words before the cursor: those that are finished, and the one being written, which may be empty.
pub(super) fn up_to_cursor(line: &str) -> (Vec<String>, Word) {
    let Scan { mut words, open, blank } = Scan::of(line);
    let last = if blank && open.is_none() { None } else { words.pop() };
    let current = last.unwrap_or_else(|| Word { start: line.len(), text: String::new() });
    (words.into_iter().map(|word| word.text).collect(), current)
}

struct Scan {
    words: Vec<Word>,
    open: Option<WordsError>,
    /// Whether the line ends between words.
    blank: bool,
}

impl Scan {
    fn of(line: &str) -> Self {
        let mut words = Vec::new();
        let mut word: Option<Word> = None;
        let mut open = None;
        let mut chars = line.char_indices();
        while let Some((start, c)) = chars.next() {
            if c.is_whitespace() {
                words.extend(word.take());
                continue;
            }
            let word = word.get_or_insert_with(|| Word { start, text: String::new() });
            match c {
                '\'' | '"' => open = quoted(&mut chars, c, &mut word.text).err(),
                '\\' => match chars.next() {
                    Some((_, next)) => word.text.push(next),
                    None => open = Some(WordsError::OpenBackslash),
                },
                c => word.text.push(c),
            }
        }
        let blank = word.is_none();
        words.extend(word);
        Self { words, open, blank }
    }
}

fn quoted(chars: &mut std::str::CharIndices<'_>, quote: char, text: &mut String) -> Result<(), WordsError> {
    while let Some((_, c)) = chars.next() {
        match c {
            c if c == quote => return Ok(()),
            '\\' if quote == '"' => match chars.next() {
                Some((_, 'n')) => text.push('\n'),
                Some((_, 't')) => text.push('\t'),
                Some((_, 'r')) => text.push('\r'),
                Some((_, next)) => text.push(next),
                None => return Err(WordsError::OpenBackslash),
            },
            c => text.push(c),
        }
    }
    Err(WordsError::OpenQuote(quote))
}

/// Whether `text` is one word only in quotes.
pub(super) fn needs_quotes(text: &str) -> bool {
    text.is_empty() || text.chars().any(|c| c.is_whitespace() || matches!(c, '\'' | '"' | '\\'))
}

/// `text` after a double quote that is not closed yet.
pub(super) fn in_open_quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 1);
    quoted.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        split(line).unwrap()
    }

    #[test]
    fn blanks_separate_and_quotes_join() {
        assert_eq!(words(""), Vec::<String>::new());
        assert_eq!(words("  \t "), Vec::<String>::new());
        assert_eq!(words(" set  /a\tb "), ["set", "/a", "b"]);
        assert_eq!(
            words(r#"set /a 'two words' "three little words""#)[2..],
            ["two words", "three little words"]
        );
        assert_eq!(words(r#"a'b c'"d e"f"#), ["ab cd ef"]);
        assert_eq!(words(r#"set /a ''"#), ["set", "/a", ""]);
    }

    #[test]
    fn backslashes() {
        assert_eq!(words(r"a\ b \\ \'"), ["a b", "\\", "'"]);
        assert_eq!(words(r#""a\nb\t\"\\\x""#), ["a\nb\t\"\\x"]);
        assert_eq!(words(r"'a\n'"), ["a\\n"]);
    }

    #[test]
    fn what_is_left_open_is_refused() {
        assert_eq!(split("set /a 'b"), Err(WordsError::OpenQuote('\'')));
        assert_eq!(split("set \"/a b"), Err(WordsError::OpenQuote('"')));
        assert_eq!(split("\"a\\"), Err(WordsError::OpenBackslash));
        assert_eq!(split("a\\"), Err(WordsError::OpenBackslash));
    }

    #[test]
    fn the_word_at_the_cursor() {
        let at = |line| up_to_cursor(line);
        assert_eq!(at(""), (vec![], Word { start: 0, text: String::new() }));
        assert_eq!(at("ge"), (vec![], Word { start: 0, text: "ge".into() }));
        assert_eq!(at("get "), (vec!["get".into()], Word { start: 4, text: String::new() }));
        assert_eq!(at("get /a"), (vec!["get".into()], Word { start: 4, text: "/a".into() }));
        assert_eq!(at("get \"/a b"), (vec!["get".into()], Word { start: 4, text: "/a b".into() }));
        assert_eq!(at("get '/ä "), (vec!["get".into()], Word { start: 4, text: "/ä ".into() }));
        assert_eq!(at("get \""), (vec!["get".into()], Word { start: 4, text: String::new() }));
    }

    #[test]
    fn a_quoted_word_reads_back() {
        for text in ["/a b", "/quo\"te", "/back\\slash", "/it's"] {
            assert!(needs_quotes(text));
            assert_eq!(words(&format!("{}\"", in_open_quote(text))), [text]);
        }
        assert!(!needs_quotes("/a/b-1#$*"));
    }
}
