//! What a value may be.

use std::time::Duration;

use jiff::SignedDuration;

/// What is expected of bytes.
pub const BYTES: &str = "bytes, like 67108864 or 64MiB";

/// A kind of values, and how one is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// Texts with commas between them.
    List,
    /// `true` or `false`.
    Flag,
    Number,
    /// A number, with `KiB`, `MiB` or `GiB` behind it if it is that many.
    Bytes,
    /// `30s`, `250ms`, `1h 30m`.
    Time,
}

impl Kind {
    /// What is expected, if `value` is not that.
    pub(super) fn objection(self, value: &str) -> Option<&'static str> {
        let (is_right, expected) = match self {
            Self::Text | Self::List => (true, "a text"),
            Self::Flag => (value.parse::<bool>().is_ok(), "true or false"),
            Self::Number => (value.parse::<u64>().is_ok(), "a number"),
            Self::Bytes => (bytes(value).is_some(), BYTES),
            Self::Time => (time(value).is_some(), "a time, like 30s or 250ms"),
        };
        (!is_right).then_some(expected)
    }
}

/// Bytes as people write them: `67108864`, `64MiB`.
pub fn bytes(text: &str) -> Option<u64> {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    let times: u64 = match unit.trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(times)
}

pub(super) fn time(text: &str) -> Option<Duration> {
    text.parse::<SignedDuration>().ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(bytes("1024"), Some(1024));
        assert_eq!(bytes("64MiB"), Some(64 << 20));
        assert_eq!(bytes("2 GiB"), Some(2 << 30));
        for wrong in
            ["", "MiB", "1.5GiB", "-1", "1 GB", "99999999999999999999", "18014398509481984KiB"]
        {
            assert_eq!(bytes(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn times() {
        assert_eq!(time("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(time("1h 30m"), Some(Duration::from_secs(5400)));
        for wrong in ["", "30", "-1s", "soon"] {
            assert_eq!(time(wrong), None, "{wrong}");
        }
    }
}
