//! Reads the golden files.

#![allow(clippy::panic, reason = "a test stops at the first surprise")]
#![allow(dead_code, reason = "each test file uses a part of it")]

use bytes::Bytes;

/// A file of this directory.
pub(crate) fn read(file: &str) -> Bytes {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).into()
}

/// A file of this directory that is text.
pub(crate) fn text(file: &str) -> String {
    String::from_utf8(read(file).into()).unwrap_or_else(|e| panic!("{file}: {e}"))
}

/// The bytes that hex digits stand for.
pub(crate) fn unhex(digits: &str) -> Bytes {
    let pair = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap_or_else(|e| panic!("{digits}: {e}"));
    (0..digits.len()).step_by(2).map(pair).collect()
}
