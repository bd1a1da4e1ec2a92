use std::fmt;
use std::str::FromStr;

use super::ConfigError;

/// How much of what is nearest a search is to find, on average: of one, in steps of a ten-thousandth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecallTarget(u16);

impl RecallTarget {
    const LEAST: u16 = 5_000;
    const MOST: u16 = 9_999;

    /// 0.5 to 0.9999. All of it is what an exact search finds.
    ///
    /// # Errors
    /// [`ConfigError::Recall`] for another number.
    pub fn new(recall: f64) -> Result<Self, ConfigError> {
        let steps = (recall * 10_000.0).round();
        let range = f64::from(Self::LEAST)..=f64::from(Self::MOST);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
        match range.contains(&steps) {
            true => Ok(Self(steps as u16)),
            false => Err(ConfigError::Recall { found: recall.to_string() }),
        }
    }

    /// Of one.
    pub fn get(self) -> f64 {
        f64::from(self.0) / 10_000.0
    }

    /// As it is stored: ten-thousandths, 0 for none.
    pub(crate) fn stored(target: Option<Self>) -> u16 {
        target.map_or(0, |target| target.0)
    }

    /// What was stored; `None` if nothing can be stored so.
    pub(crate) fn of_stored(stored: u16) -> Option<Option<Self>> {
        match stored {
            0 => Some(None),
            Self::LEAST..=Self::MOST => Some(Some(Self(stored))),
            _ => None,
        }
    }
}

impl fmt::Display for RecallTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.get())
    }
}

impl FromStr for RecallTarget {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let found = || ConfigError::Recall { found: text.to_owned() };
        text.parse().map_err(|_| found()).and_then(|recall| Self::new(recall).map_err(|_| found()))
    }
}
