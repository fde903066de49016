//! Directives: `name=token, name="quoted \" string"`, as challenges and responses are written. Knows no directive by
//! name.

use super::error::DigestMd5Error;

/// One `name=value`. The name is in lower case, the value without quotes and escapes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Directive {
    pub(super) name: String,
    pub(super) value: Vec<u8>,
}

/// Reads a list. Empty elements and white space around everything are allowed, as RFC 2831 has it; a value may be
/// quoted or not, whatever its directive, because servers differ.
pub(super) fn parse(text: &[u8]) -> Result<Vec<Directive>, DigestMd5Error> {
    let mut scan = Scan { text, at: 0 };
    let mut list = Vec::new();
    loop {
        scan.skip(|byte| is_space(byte) || byte == b',');
        if scan.peek().is_none() {
            return Ok(list);
        }
        let name = scan.take(is_token)?;
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        scan.skip(is_space);
        scan.expect(b'=')?;
        scan.skip(is_space);
        let value = if scan.peek() == Some(b'"') { scan.quoted()? } else { scan.take(is_bare)?.to_vec() };
        list.push(Directive { name, value });
        scan.skip(is_space);
        if scan.peek().is_some() {
            scan.expect(b',')?;
        }
    }
}

/// Appends `,name="value"`.
pub(super) fn put_quoted(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    put_name(out, name);
    out.push(b'"');
    for &byte in value {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// Appends `,name=value`.
pub(super) fn put_bare(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    put_name(out, name);
    out.extend_from_slice(value);
}

fn put_name(out: &mut Vec<u8>, name: &str) {
    if !out.is_empty() {
        out.push(b',');
    }
    out.extend_from_slice(name.as_bytes());
    out.push(b'=');
}

struct Scan<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn skip(&mut self, wanted: impl Fn(u8) -> bool) {
        while self.peek().is_some_and(&wanted) {
            self.at += 1;
        }
    }

    /// At least one byte.
    fn take(&mut self, wanted: impl Fn(u8) -> bool) -> Result<&'a [u8], DigestMd5Error> {
        let from = self.at;
        self.skip(wanted);
        match self.text.get(from..self.at) {
            Some(taken) if !taken.is_empty() => Ok(taken),
            _ => Err(self.malformed()),
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), DigestMd5Error> {
        if self.peek() != Some(byte) {
            return Err(self.malformed());
        }
        self.at += 1;
        Ok(())
    }

    fn quoted(&mut self) -> Result<Vec<u8>, DigestMd5Error> {
        self.expect(b'"')?;
        let mut value = Vec::new();
        loop {
            let mut byte = self.peek().ok_or_else(|| self.malformed())?;
            self.at += 1;
            match byte {
                b'"' => return Ok(value),
                b'\\' => {
                    byte = self.peek().ok_or_else(|| self.malformed())?;
                    self.at += 1;
                }
                _ => {}
            }
            value.push(byte);
        }
    }

    const fn malformed(&self) -> DigestMd5Error {
        DigestMd5Error::Malformed { at: self.at }
    }
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

const fn is_token(byte: u8) -> bool {
    byte.is_ascii_graphic()
        && !matches!(
            byte,
            b'(' | b')'
                | b'<'
                | b'>'
                | b'@'
                | b','
                | b';'
                | b':'
                | b'\\'
                | b'"'
                | b'/'
                | b'['
                | b']'
                | b'?'
                | b'='
                | b'{'
                | b'}'
        )
}

/// A value without quotes ends where the list goes on.
const fn is_bare(byte: u8) -> bool {
    !is_space(byte) && !byte.is_ascii_control() && !matches!(byte, b',' | b'"')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let list = parse(text.as_bytes()).unwrap();
        list.into_iter().map(|d| (d.name, String::from_utf8(d.value).unwrap())).collect()
    }

    #[test]
    fn lists_are_read_as_servers_write_them() {
        let expected =
            [("realm", "a,b"), ("nonce", "x\"y\\"), ("qop", "auth,auth-int"), ("charset", "utf-8")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let tight = r#"realm="a,b",nonce="x\"y\\",qop="auth,auth-int",charset=utf-8"#;
        let loose = ", ,Realm = \"a,b\" ,\r\n\tNONCE=\"x\\\"y\\\\\", qop=\"auth,auth-int\",charset = utf-8 ,";
        assert_eq!(pairs(tight), expected);
        assert_eq!(pairs(loose), expected);
        assert_eq!(pairs(""), []);
    }

    #[test]
    fn what_is_no_list_is_refused_with_its_place() {
        for (text, at) in [
            ("realm", 5),
            ("realm=", 6),
            ("=x", 0),
            ("a=\"x", 4),
            ("a=\"x\\", 5),
            ("a=b c=d", 4),
            ("a==b,\u{1}", 5),
        ] {
            assert_eq!(parse(text.as_bytes()), Err(DigestMd5Error::Malformed { at }), "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut out = Vec::new();
        put_quoted(&mut out, "username", b"a\"b\\c, d");
        put_bare(&mut out, "nc", b"00000001");
        assert_eq!(
            pairs(std::str::from_utf8(&out).unwrap()),
            [("username".to_owned(), "a\"b\\c, d".to_owned()), ("nc".to_owned(), "00000001".to_owned())]
        );
    }
}
