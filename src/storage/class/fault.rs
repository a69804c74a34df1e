//! What is wrong with a class or a claim, in words.

use std::fmt;

/// One thing that is wrong: where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The parameter or field as the user wrote it: `restuser`, `spec.accessModes`.
    pub field: Box<str>,
    /// What is wrong with it, its value, and the mend. Never a key.
    pub text: Box<str>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// All that is wrong with one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

/// Faults told in one sentence; the rest is counted. An Event's note has 1,024 bytes.
const MOST_TOLD: usize = 6;

impl Faults {
    pub(super) fn add(&mut self, field: &str, text: impl Into<Box<str>>) {
        self.0.push(Fault {
            field: field.into(),
            text: text.into(),
        });
    }

    /// `Ok` with a value if nothing is wrong.
    pub(super) fn or<T>(self, value: T) -> Result<T, Faults> {
        if self.0.is_empty() {
            Ok(value)
        } else {
            Err(self)
        }
    }

    /// Each of them, in the order found.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter()
    }

    /// Adds those of another object.
    pub fn and(mut self, others: Faults) -> Faults {
        self.0.extend(others.0);
        self
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.0.iter().take(MOST_TOLD).enumerate() {
            if at > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{fault}")?;
        }
        match self.0.len().saturating_sub(MOST_TOLD) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

impl std::error::Error for Faults {}

/// A value from a user, quoted and cut for a message.
pub(super) fn quoted(value: &str) -> String {
    const MOST: usize = 64;
    match value.char_indices().nth(MOST) {
        None => format!("{value:?}"),
        Some((end, _)) => format!("{:?}…", &value[..end]),
    }
}
