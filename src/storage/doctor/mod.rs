//! Why has this claim no volume? In words, for a person.
//!
//! ```text
//!   claim --> its class --> the Secret --> Heketi: hello, token, the volume's name --> room
//!     |         |             |              |                                         |
//!     '---------'-------------'--- each answers with findings; what cannot go on stops there
//!                                                    then: what was told of it (Events)
//! ```
//!
//! It reads with the rights of whoever asks, and changes nothing. What is wrong
//! is said in the words of [`class`](super::class) and
//! [`heketi`](super::heketi), which the controller's Events have too. Judging
//! is pure and stands in [`judge`] and [`space`]; [`ask`] does the asking.

mod ask;
mod judge;
mod space;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use crate::k8s::objects::ClaimKey;

pub use ask::{Doctor, Options};

/// How long Heketi is listened to for one question.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether it is as it should be.
    pub mark: Mark,
    /// In a sentence.
    pub text: Box<str>,
}

/// How a finding is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// As it should be.
    Good,
    /// Not the reason, but worth knowing.
    Note,
    /// The reason, or one of them.
    Wrong,
}

impl Finding {
    pub(super) fn good(text: impl Into<Box<str>>) -> Self {
        Self {
            mark: Mark::Good,
            text: text.into(),
        }
    }

    pub(super) fn note(text: impl Into<Box<str>>) -> Self {
        Self {
            mark: Mark::Note,
            text: text.into(),
        }
    }

    pub(super) fn wrong(text: impl Into<Box<str>>) -> Self {
        Self {
            mark: Mark::Wrong,
            text: text.into(),
        }
    }
}

/// All that was found about one claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Which claim.
    pub claim: ClaimKey,
    /// In the order looked at.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether anything is wrong.
    pub fn is_wrong(&self) -> bool {
        let mut findings = self.findings.iter();
        findings.any(|finding| finding.mark == Mark::Wrong)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "PersistentVolumeClaim {}", self.claim)?;
        for finding in &self.findings {
            let mark = match finding.mark {
                Mark::Good => "ok   ",
                Mark::Note => "note ",
                Mark::Wrong => "WRONG",
            };
            writeln!(f, "  {mark}  {}", finding.text)?;
        }
        Ok(())
    }
}
