//! Numbers, durations and switches as ZooKeeper writes them. Each parser says what it expected.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

/// A decimal number within `range`.
///
/// # Errors
/// What was expected.
pub fn number(text: &str, range: RangeInclusive<i64>) -> Result<i64, String> {
    let expected = || format!("a number from {} to {}", range.start(), range.end());
    text.parse().ok().filter(|n| range.contains(n)).ok_or_else(expected)
}

/// A number of bytes, decimal or as `0x...`.
///
/// # Errors
/// What was expected.
pub fn bytes(text: &str) -> Result<usize, String> {
    let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    };
    match parsed {
        Some(n) if (1..=i32::MAX as u32).contains(&n) => Ok(n as usize),
        _ => Err("a number of bytes, decimal or 0x..., from 1 to 2147483647".to_owned()),
    }
}

/// `true` or `false`, in any case.
///
/// # Errors
/// What was expected.
pub fn boolean(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("true or false".to_owned()),
    }
}

/// `yes` or `no`, as the oldest switches are written; `true` and `false` are taken too.
///
/// # Errors
/// What was expected.
pub fn yes_no(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        _ => Err("yes or no".to_owned()),
    }
}

/// Hours, or a number with its unit: `ms`, `s`, `m`, `h`, `d`. Zero and below is off.
///
/// # Errors
/// What was expected.
pub fn interval(text: &str) -> Result<Option<Duration>, String> {
    const HOUR_MS: u64 = 3_600_000;
    const UNITS_MS: [(&str, u64); 5] =
        [("ms", 1), ("s", 1000), ("m", 60_000), ("h", HOUR_MS), ("d", 24 * HOUR_MS)];
    let with_unit =
        UNITS_MS.iter().find_map(|(unit, ms)| text.strip_suffix(unit).map(|digits| (digits.trim_end(), *ms)));
    let (digits, unit_ms) = with_unit.unwrap_or((text, HOUR_MS));
    let expected =
        |_| "a number of hours, or a number with ms, s, m, h or d behind it; 0 for never".to_owned();
    let count: i64 = digits.parse().map_err(expected)?;
    let ms = u64::try_from(count).unwrap_or(0).saturating_mul(unit_ms);
    Ok((ms > 0).then(|| Duration::from_millis(ms)))
}

/// A directory's path.
///
/// # Errors
/// What was expected.
pub fn directory(text: &str) -> Result<PathBuf, String> {
    match text {
        "" => Err("the path of a directory".to_owned()),
        // Only shells know it; a directory named "~" is nobody's wish.
        t if t.starts_with('~') => Err("a path written out: ~ stands for nothing here".to_owned()),
        t => Ok(t.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_to_their_range() {
        assert_eq!(number("60", 0..=100), Ok(60));
        for bad in ["", "x", "-1", "101", "1.5", "0x10", "99999999999999999999"] {
            assert_eq!(number(bad, 0..=100), Err("a number from 0 to 100".to_owned()), "{bad}");
        }
        assert_eq!(bytes("0xfffff"), Ok(1_048_575));
        assert_eq!(bytes("4194304"), Ok(4_194_304));
        assert!(bytes("0").is_err() && bytes("0x").is_err() && bytes("3000000000").is_err());
    }

    #[test]
    fn switches() {
        assert_eq!((boolean("TRUE"), boolean("false")), (Ok(true), Ok(false)));
        assert!(boolean("yes").is_err() && boolean("1").is_err());
        assert_eq!((yes_no("no"), yes_no("Yes")), (Ok(false), Ok(true)));
        assert!(yes_no("off").is_err());
    }

    #[test]
    fn intervals_are_hours_unless_they_say_otherwise() {
        let ms = |text| interval(text).unwrap().map(|d| d.as_millis());
        assert_eq!((ms("1"), ms("24"), ms("0"), ms("-1")), (Some(3_600_000), Some(86_400_000), None, None));
        assert_eq!((ms("90ms"), ms("3h")), (Some(90), Some(10_800_000)));
        assert_eq!((ms("5s"), ms("2 m"), ms("1d")), (Some(5000), Some(120_000), Some(86_400_000)));
        assert!(interval("soon").is_err() && interval("").is_err());
    }
}
