use std::fmt;

use jiff::SignedDuration;
use jiff::civil::{DateTime, date};
use thiserror::Error;

/// A moment, to the nanosecond, from the year 0 to 9999 as UTC counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Seconds since 1970, leap seconds not counted.
    pub(crate) seconds: i64,
    pub(crate) nanoseconds: u32,
}

/// A text is no timestamp of RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "expected a timestamp of RFC 3339, like 2024-05-01T12:00:00Z or 2024-05-01T14:00:00.25+02:00"
)]
pub struct TimestampError;

const EPOCH: DateTime = date(1970, 1, 1).at(0, 0, 0, 0);

impl Timestamp {
    /// Reads a timestamp of RFC 3339: a date, a `T`, a time of at most nine decimals, and `Z` or an
    /// offset. A leap second is the first second of the next minute.
    ///
    /// # Errors
    /// [`TimestampError`] if the text is none, or a moment before the year 0 or after 9999 in UTC.
    pub fn parse(text: &str) -> Result<Self, TimestampError> {
        read(text.as_bytes()).ok_or(TimestampError)
    }

    pub(crate) fn new(seconds: i64, nanoseconds: u32) -> Option<Self> {
        // A duration of more would be another, or none.
        let time = Some(Self { seconds, nanoseconds }).filter(|_| nanoseconds < 1_000_000_000)?;
        (0..=9999).contains(&time.civil()?.year()).then_some(time)
    }

    fn civil(self) -> Option<DateTime> {
        let since = SignedDuration::new(self.seconds, i32::try_from(self.nanoseconds).ok()?);
        EPOCH.checked_add(since).ok()
    }
}

fn read(text: &[u8]) -> Option<Timestamp> {
    let (date_time, rest) = text.split_at_checked(19)?;
    let parts = date_time.iter().zip(b"0000-00-00T00:00:00");
    let alike = |(found, shape): (&u8, &u8)| match shape {
        b'0' => found.is_ascii_digit(),
        shape => found.eq_ignore_ascii_case(shape),
    };
    if !{ parts }.all(alike) {
        return None;
    }
    let (decimals, offset) = match rest.strip_prefix(b".") {
        Some(rest) => rest.split_at(rest.iter().take_while(|byte| byte.is_ascii_digit()).count()),
        None => (&b"0"[..], rest),
    };
    if !(1..=9).contains(&decimals.len()) {
        return None;
    }
    let nanoseconds = number(decimals)? * 10i32.pow(9 - u32::try_from(decimals.len()).ok()?);
    let part = |from: usize, to: usize| number(date_time.get(from..to)?);
    let small = |from: usize| i8::try_from(part(from, from + 2)?).ok();
    let (second, leap) = match small(17)? {
        60 => (59, 1),
        second => (second, 0),
    };
    let year = i16::try_from(part(0, 4)?).ok()?;
    let [month, day, hour, minute] = [small(5)?, small(8)?, small(11)?, small(14)?];
    let local = DateTime::new(year, month, day, hour, minute, second, nanoseconds).ok()?;
    let since = local.duration_since(EPOCH);
    let whole = since.as_secs() - i64::from(since.subsec_nanos() < 0);
    let seconds = whole + leap - 60 * i64::from(offset_minutes(offset)?);
    Timestamp::new(seconds, u32::try_from(nanoseconds).ok()?)
}

fn offset_minutes(offset: &[u8]) -> Option<i32> {
    let (sign, digits) = match offset {
        b"Z" | b"z" => return Some(0),
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let [_, _, b':', _, _] = digits else { return None };
    let (hours, minutes) = (number(digits.get(..2)?)?, number(digits.get(3..)?)?);
    (hours < 24 && minutes < 60).then_some(sign * (60 * hours + minutes))
}

/// Of nine digits at most.
fn number(digits: &[u8]) -> Option<i32> {
    digits.iter().try_fold(0, |number, digit| {
        digit.is_ascii_digit().then(|| number * 10 + i32::from(digit - b'0'))
    })
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC, with the decimals that are not 0.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let civil = self.civil().ok_or(fmt::Error)?;
        let (date, time) = (civil.date(), civil.time());
        write!(f, "{:04}-{:02}-{:02}", date.year(), date.month(), date.day())?;
        write!(f, "T{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second())?;
        if self.nanoseconds > 0 {
            let decimals = format!("{:09}", self.nanoseconds);
            write!(f, ".{}", decimals.trim_end_matches('0'))?;
        }
        f.write_str("Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> Option<String> {
        Timestamp::parse(text).ok().map(|time| time.to_string())
    }

    #[test]
    fn one_moment_is_written_in_many_ways() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
            ("2024-02-29t23:59:60z", "2024-03-01T00:00:00Z"),
            ("2024-05-01T14:00:00.250+02:00", "2024-05-01T12:00:00.25Z"),
            ("2024-05-01T12:00:00-00:00", "2024-05-01T12:00:00Z"),
            ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.5Z"),
            ("1969-12-31T23:59:59.000000001-23:59", "1970-01-01T23:58:59.000000001Z"),
            ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00Z"),
            ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999999Z"),
        ] {
            assert_eq!(utc(text).as_deref(), Some(expected), "{text}");
            assert_eq!(utc(expected).as_deref(), Some(expected));
        }
    }

    #[test]
    fn seconds_are_counted_from_1970() {
        let seconds = |text| Timestamp::parse(text).unwrap().seconds;
        assert_eq!(seconds("2001-09-09T01:46:40Z"), 1_000_000_000);
        assert_eq!(seconds("1969-12-31T23:59:59.5Z"), -1);
        assert_eq!(seconds("9999-12-31T23:59:59Z"), 253_402_300_799);
        assert_eq!(seconds("0000-01-01T00:00:00Z"), -62_167_219_200);
    }

    #[test]
    fn numbers_of_no_moment_are_none() {
        for (seconds, nanoseconds) in [
            (i64::MAX, 1_500_000_000),
            (0, 1_000_000_000),
            (i64::MAX, 0),
            (i64::MIN, u32::MAX),
            (253_402_300_800, 0),
            (-62_167_219_201, 999_999_999),
        ] {
            assert_eq!(Timestamp::new(seconds, nanoseconds), None);
        }
    }

    #[test]
    fn anything_else_is_no_timestamp() {
        for text in [
            "",
            "2024-05-01",
            "2024-05-01T12:00:00",
            "2024-05-01 12:00:00Z",
            "2024-05-01T12:00Z",
            "2024-05-01T12:00:00.Z",
            "2024-05-01T12:00:00.1234567890Z",
            "2024-02-30T12:00:00Z",
            "2023-02-29T12:00:00Z",
            "2024-13-01T12:00:00Z",
            "2024-05-01T24:00:00Z",
            "2024-05-01T12:60:00Z",
            "2024-05-01T12:00:61Z",
            "2024-05-01T12:00:00+24:00",
            "2024-05-01T12:00:00+0200",
            "2024-05-01T12:00:00+02:60",
            "2024-05-01T12:00:00 Z",
            "2024-05-01T12:00:00ZZ",
            "12024-05-01T12:00:00Z",
            "-024-05-01T12:00:00Z",
            "2024-05-01T12:00:00.5",
            "٢٠٢٤-05-01T12:00:00Z",
            "0000-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
        ] {
            assert_eq!(utc(text), None, "{text}");
        }
    }
}
