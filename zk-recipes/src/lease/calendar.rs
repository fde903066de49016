//! Moments as Kazoo's lease record writes them: `2026-11-22T22:22:38`, UTC, to the second. The calendar's
//! arithmetic is the `time` crate's; the text is ours, as Python's `strftime` and `strptime` have it.

use std::time::{Duration, SystemTime};
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time};

/// The last moment that the text can name.
const LAST: &str = "9999-12-31T23:59:59";

/// The text of a moment, and the moment that it names: part of a second less. Beyond the year 9999, the last one
/// of that; before 1970, the first one of that.
pub(super) fn written(moment: SystemTime) -> (String, SystemTime) {
    let last = || (LAST.to_owned(), read(LAST).unwrap_or(SystemTime::UNIX_EPOCH));
    let Ok(since) = moment.duration_since(SystemTime::UNIX_EPOCH) else {
        // A clock before 1970 is no clock; such a lease is over.
        return written(SystemTime::UNIX_EPOCH);
    };
    let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    let Ok(at) = OffsetDateTime::from_unix_timestamp(seconds) else { return last() };
    let (year, month, day) = at.to_calendar_date();
    let (hour, minute, second) = at.to_hms();
    let text = format!("{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}", u8::from(month));
    (text, SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs()))
}

/// The moment that a text names; `None` when it names none. A leading zero may be missing, as in Python.
pub(super) fn read(text: &str) -> Option<SystemTime> {
    let (date, time) = text.split_once('T')?;
    let [year, month, day] = numbers(date, '-', 4)?;
    let [hour, minute, second] = numbers(time, ':', 2)?;
    let small = |n: u32| u8::try_from(n).ok();
    let month = Month::try_from(small(month)?).ok()?;
    let date = Date::from_calendar_date(i32::try_from(year).ok()?, month, small(day)?).ok()?;
    let time = Time::from_hms(small(hour)?, small(minute)?, small(second)?).ok()?;
    let seconds = PrimitiveDateTime::new(date, time).assume_utc().unix_timestamp();
    // Before 1970 all is over alike.
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// Three numbers of digits; the first has at most `first` of them, the others two.
fn numbers(text: &str, between: char, first: usize) -> Option<[u32; 3]> {
    let mut parts = text.split(between);
    let mut next = |most: usize| {
        let part = parts.next()?;
        let digits = (1..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        if digits { part.parse().ok() } else { None }
    };
    let numbers = [next(first)?, next(2)?, next(2)?];
    parts.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    /// Python: `datetime.utcfromtimestamp(n).strftime("%Y-%m-%dT%H:%M:%S")`.
    #[test]
    fn moments_as_python_writes_them() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_400, "2000-02-29T00:00:00"),
            (1_709_164_799, "2024-02-28T23:59:59"),
            (1_795_386_158, "2026-11-22T22:22:38"),
            (4_107_542_399, "2100-02-28T23:59:59"),
            (4_107_542_400, "2100-03-01T00:00:00"),
            (253_402_300_799, "9999-12-31T23:59:59"),
        ] {
            assert_eq!(written(at(seconds)), (text.to_owned(), at(seconds)));
            assert_eq!(read(text), Some(at(seconds)));
        }
    }

    #[test]
    fn parts_of_a_second_are_cut_and_ends_have_an_end() {
        let (text, named) = written(at(5) + Duration::from_millis(999));
        assert_eq!((text.as_str(), named), ("1970-01-01T00:00:05", at(5)));
        assert_eq!(written(at(253_402_300_800)), (LAST.to_owned(), at(253_402_300_799)));
        assert_eq!(written(at(0) - Duration::from_secs(1)).1, at(0));
        assert_eq!(read("1969-12-31T23:59:59"), Some(at(0)));
    }

    #[test]
    fn only_dates_are_read() {
        assert_eq!(read("2026-1-2T3:4:5"), read("2026-01-02T03:04:05"));
        for text in [
            "",
            "2026-11-22",
            "2026-11-22 22:22:38",
            "2026-11-22T22:22:38Z",
            "2026-11-22T22:22:38.5",
            "2026-13-22T22:22:38",
            "2026-02-29T00:00:00",
            "2026-11-22T24:00:00",
            "2026-11-22T22:60:00",
            "2026-11-22T22:22:60",
            "2026-11-22T22:22:",
            "+026-11-22T22:22:38",
            "20260-11-22T22:22:38",
            "2026-11-22-01T22:22:38",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(seconds in 0u64..253_402_300_800, nanos in 0u32..1_000_000_000) {
            let (text, named) = written(at(seconds) + Duration::from_nanos(nanos.into()));
            prop_assert_eq!(text.len(), LAST.len());
            prop_assert_eq!(named, at(seconds));
            prop_assert_eq!(read(&text), Some(named));
        }

        /// An own computation of the same days: 400 years are 146097.
        #[test]
        fn days_follow_one_another(day in 0u64..2_780_000) {
            let date = |day: u64| written(at(day * 86_400)).0;
            let (today, tomorrow) = (date(day), date(day + 1));
            prop_assert!(today < tomorrow);
            let era = date(day + 146_097);
            prop_assert_eq!(&today[4..], &era[4..]);
        }

        #[test]
        fn any_text_is_read_without_harm(text in "[0-9T:+. -]{0,24}") {
            let _ = read(&text);
        }
    }
}
