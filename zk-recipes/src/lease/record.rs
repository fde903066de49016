//! The record of a lease, byte for byte as Kazoo writes it with Python's `json.dumps`, and the one rule that decides
//! who may take it. Pure.

use serde_json::Value;
use std::time::SystemTime;

use super::calendar;

/// The name of the record below the lease's path.
pub(super) const NODE: &str = "lease_holder";

/// The format that Kazoo writes, and we do.
const VERSION: u32 = 1;

/// Who holds, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) holder: String,
    pub(super) end: SystemTime,
}

/// Why a record tells us nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It is of this version, which is not ours.
    Version(String),
    /// It is no such record.
    Corrupted(String),
}

impl Record {
    /// A record of `holder` until `end`, to the second.
    pub(super) fn new(holder: &str, end: SystemTime) -> Self {
        Self { holder: holder.to_owned(), end: calendar::written(end).1 }
    }

    pub(super) fn encode(&self) -> String {
        let (holder, (end, _)) = (quoted(&self.holder), calendar::written(self.end));
        format!("{{\"version\": {VERSION}, \"holder\": {holder}, \"end\": \"{end}\"}}")
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let corrupted = |why: &str| Unreadable::Corrupted(why.to_owned());
        let value: Value =
            serde_json::from_slice(bytes).map_err(|error| Unreadable::Corrupted(error.to_string()))?;
        let version = value.get("version").ok_or_else(|| corrupted("there is no version in it"))?;
        // What another version means by the rest is not for us to say.
        if version.as_f64() != Some(f64::from(VERSION)) {
            return Err(Unreadable::Version(version.to_string()));
        }
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        let holder = text("holder").ok_or_else(|| corrupted("there is no holder in it"))?;
        let end = text("end").ok_or_else(|| corrupted("there is no end in it"))?;
        let end = calendar::read(end).ok_or_else(|| Unreadable::Corrupted(format!("{end:?} is no time")))?;
        Ok(Self { holder: holder.to_owned(), end })
    }

    /// Whether somebody other than `holder` has it now.
    pub(super) fn keeps_out(&self, holder: &str, now: SystemTime) -> bool {
        self.holder != holder && now < self.end
    }
}

/// A JSON string in ASCII alone, as Python writes it: everything else by its UTF-16 code units.
fn quoted(text: &str) -> String {
    let json = Value::from(text).to_string();
    let mut ascii = String::with_capacity(json.len());
    for c in json.chars() {
        if (' '..='~').contains(&c) {
            ascii.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                ascii.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    ascii
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    /// Printed by Kazoo itself.
    const GOLDEN: &str = r#"{"version": 1, "holder": "idn", "end": "2026-11-22T22:22:38"}"#;

    #[test]
    fn the_bytes_are_kazoos() {
        let record = Record::new("idn", at(1_795_386_158) + Duration::from_millis(700));
        assert_eq!(record.encode(), GOLDEN);
        assert_eq!(Record::decode(GOLDEN.as_bytes()).unwrap(), record);
    }

    /// Python: `json.dumps(text)`.
    #[test]
    fn texts_as_python_writes_them() {
        for (text, json) in [
            ("", r#""""#),
            ("a\"b\\c/d", r#""a\"b\\c/d""#),
            ("\n\r\t\u{8}\u{c}", r#""\n\r\t\b\f""#),
            ("\u{0}\u{1f}\u{7f}~", r#""\u0000\u001f\u007f~""#),
            ("zoë", r#""zo\u00eb""#),
            ("漢😀", r#""\u6f22\ud83d\ude00""#),
        ] {
            assert_eq!(quoted(text), json);
        }
    }

    #[test]
    fn other_versions_and_other_texts_are_told_apart() {
        let decode = |text: &str| Record::decode(text.as_bytes()).unwrap_err();
        assert_eq!(decode(r#"{"version": 2, "owner": 7}"#), Unreadable::Version("2".into()));
        assert_eq!(decode(r#"{"version": "1"}"#), Unreadable::Version("\"1\"".into()));
        for text in [
            "",
            "idn",
            "[]",
            "{}",
            r#"{"version": 1}"#,
            r#"{"version": 1, "holder": 7, "end": "2026-11-22T22:22:38"}"#,
            r#"{"version": 1, "holder": "idn", "end": "soon"}"#,
            r#"{"version": 1, "holder": "idn", "end": "2026-11-22T22:22:38"} x"#,
        ] {
            assert!(matches!(decode(text), Unreadable::Corrupted(_)), "{text}");
        }
        // Written by others: blanks, order and further keys are theirs.
        let other = r#"{"end":"2026-11-22T22:22:38","holder":"id\u006e","version":1,"more":null}"#;
        assert_eq!(Record::decode(other.as_bytes()).unwrap().encode(), GOLDEN);
    }

    #[test]
    fn the_end_is_the_first_moment_that_is_free() {
        let record = Record::new("ada", at(100));
        assert!(record.keeps_out("ben", at(100) - Duration::from_nanos(1)));
        assert!(!record.keeps_out("ben", at(100)));
        assert!(!record.keeps_out("ada", at(50)), "its holder may renew it");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(holder: String, seconds in 0u64..253_402_300_800) {
            let record = Record::new(&holder, at(seconds));
            let text = record.encode();
            prop_assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            prop_assert_eq!(Record::decode(text.as_bytes()).unwrap(), record);
        }

        #[test]
        fn any_bytes_are_read_without_harm(bytes: Vec<u8>) {
            let _ = Record::decode(&bytes);
        }
    }
}
