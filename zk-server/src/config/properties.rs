//! The syntax of Java's properties files: comments, separators, escapes, continued lines. Knows no keys.

/// One `key=value`, both without surrounding blanks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// The key.
    pub key: String,
    /// The value; empty when the line has only a key.
    pub value: String,
    /// The line it begins on, from 1.
    pub line: usize,
}

/// Reads a whole file, in its order; a key may come more than once.
///
/// # Errors
/// The line, and what is wrong with it.
pub fn parse(text: &str) -> Result<Vec<Property>, (usize, &'static str)> {
    let mut found = Vec::new();
    let mut lines = text.trim_start_matches('\u{feff}').lines().enumerate();
    while let Some((index, first)) = lines.next() {
        let mut logical = first.trim_start().to_owned();
        if logical.is_empty() || logical.starts_with(['#', '!']) {
            continue;
        }
        while continues(&logical) {
            logical.pop();
            let Some((_, next)) = lines.next() else { break };
            logical.push_str(next.trim_start());
        }
        let line = index + 1;
        let (key, value) = split(&logical).map_err(|what| (line, what))?;
        if !key.is_empty() {
            found.push(Property { key, value, line });
        }
    }
    Ok(found)
}

/// Whether a line ends in an odd number of backslashes.
fn continues(line: &str) -> bool {
    line.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1
}

/// The key ends at the first `=`, `:` or blank that is not escaped.
fn split(line: &str) -> Result<(String, String), &'static str> {
    let mut escaped = false;
    let end = line.find(|c: char| {
        let ends = !escaped && (c == '=' || c == ':' || c.is_whitespace());
        escaped = c == '\\' && !escaped;
        ends
    });
    let (key, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = rest.trim_start();
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    Ok((unescape(key)?.trim().to_owned(), unescape(value)?.trim().to_owned()))
}

fn unescape(text: &str) -> Result<String, &'static str> {
    const WRONG: &str = "\\u needs four hexadecimal digits";
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match rest.next() {
            Some('t') => out.push('\t'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('f') => out.push('\u{c}'),
            Some('u') => {
                let (digits, behind) = rest.as_str().split_at_checked(4).ok_or(WRONG)?;
                let code = u32::from_str_radix(digits, 16).map_err(|_| WRONG)?;
                out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                rest = behind.chars();
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text).unwrap().into_iter().map(|p| (p.key, p.value)).collect()
    }

    #[test]
    fn separators_and_blanks() {
        for line in
            ["key=value", "key:value", "key value", "  key  =  value  ", "key\t:\tvalue", "key =value"]
        {
            assert_eq!(pairs(line), [("key".to_owned(), "value".to_owned())], "{line:?}");
        }
        assert_eq!(pairs("a=b=c:d"), [("a".to_owned(), "b=c:d".to_owned())]);
        assert_eq!(pairs("server.1=h:2888:3888;2181")[0].1, "h:2888:3888;2181");
        assert_eq!(
            pairs("alone\nempty="),
            [("alone".into(), String::new()), ("empty".into(), String::new())]
        );
    }

    #[test]
    fn comments_empty_lines_and_line_numbers() {
        let text = "\u{feff}# one\r\n  ! two\n\n a=1 # no comment\nb=2\n";
        let found = parse(text).unwrap();
        assert_eq!((found[0].line, found[0].value.as_str()), (4, "1 # no comment"));
        assert_eq!((found[1].line, found[1].key.as_str()), (5, "b"));
    }

    #[test]
    fn continued_lines_and_escapes() {
        assert_eq!(pairs("a=x,\\\n   y,\\\n\tz\nb=1").len(), 2);
        assert_eq!(pairs("a=x,\\\n   y")[0].1, "x,y");
        assert_eq!(pairs(r"a=C\:\\data\\zk")[0].1, r"C:\data\zk");
        assert_eq!(pairs(r"a\ b\=c=d\u0041\te")[0], ("a b=c".to_owned(), "dA\te".to_owned()));
        assert_eq!(pairs("a=end\\\\\nb=1").len(), 2, "an even number of backslashes continues nothing");
        assert_eq!(pairs("a=last\\")[0].1, "last");
        assert_eq!(parse("x=1\na=\\u00zz").unwrap_err().0, 2);
        assert!(parse(r"a=\u00é1").is_err(), "a character across the digits");
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "[ -~\\\\=:u\n\u{e9}]{0,60}") {
            let _ = parse(&text);
        }
    }
}
