//! What is wrong, or worth saying, about a configuration, and how it is shown.
//!
//! A finding reads as a sentence: the place, the value, what is wrong with it,
//! what to write instead. Rendered it looks like a compiler's error.

use std::fmt::{self, Write as _};

use serde::Serialize;

/// Findings of one text that are kept; the others are counted.
pub(super) const MAX_FINDINGS: usize = 100;

/// One thing found in a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
    /// The key meant, such as `peers[0].peer-address`; empty for the text as a whole.
    pub path: String,
    /// The value as written, shortened; `***` where it may be a password.
    pub value: Option<String>,
    /// What is wrong: a clause whose subject is the value, else the path.
    pub problem: String,
    /// What to write instead: a clause.
    pub mend: String,
    /// Another place that has part in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub related: Option<Related>,
    /// The line with the value, where it can be shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<Excerpt>,
}

/// A finding that does not stop the configuration from being used.
pub type Note = Finding;

/// Another place that has part in a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Related {
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
    /// What stands there: `the first one`.
    pub what: String,
}

/// Part of a line, everything that may be a password replaced by `***`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Excerpt {
    /// The text.
    pub text: String,
    /// Characters before the marked part.
    pub offset: usize,
    /// Characters marked, at least one.
    pub width: usize,
}

/// Everything that is wrong with a text: never empty, ordered by place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Errors {
    /// The first ones.
    pub findings: Vec<Finding>,
    /// How many more there are.
    pub omitted: usize,
}

impl Errors {
    /// All findings as a compiler would print them, for a file of this name.
    pub fn render(&self, name: &str) -> String {
        let mut out = String::new();
        for finding in &self.findings {
            out.push_str(&finding.render("error", name));
            out.push('\n');
        }
        if self.omitted > 0 {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "and {} more", self.omitted);
        }
        out
    }
}

/// One line for each finding: for logs, Events and states.
impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, finding) in self.findings.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{finding}")?;
        }
        if self.omitted > 0 {
            write!(f, "\nand {} more", self.omitted)?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}

/// `line 3, column 5: peers[0].my-asn: is missing; write …`
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "line {}, column {}: {}",
            self.line,
            self.column,
            self.headline()
        )?;
        if let Some(related) = &self.related {
            write!(f, " ({} at line {})", related.what, related.line)?;
        }
        write!(f, "; {}", self.mend)
    }
}

impl Finding {
    /// The finding without its place and mend: `peers[0].peer-address: "10.x.x.1" is not …`.
    pub fn headline(&self) -> String {
        let mut out = String::new();
        if self.path.is_empty() {
            out.push_str("the text");
        } else {
            out.push_str(&self.path);
        }
        if let Some(value) = &self.value {
            let _ = write!(out, ": `{value}`");
        }
        out.push(' ');
        out.push_str(&self.problem);
        out
    }

    /// The last part of the path.
    pub(super) fn key(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or_default()
    }

    /// As a compiler would print it; `level` is `error` or `note`.
    pub fn render(&self, level: &str, name: &str) -> String {
        let gutter = self.line.to_string();
        let pad = " ".repeat(gutter.len());
        let mut out = format!("{level}: {}\n", self.headline());
        let _ = writeln!(out, "{pad}--> {name}:{}:{}", self.line, self.column);
        if let Some(Excerpt {
            text,
            offset,
            width,
        }) = &self.excerpt
        {
            let (space, marks) = (" ".repeat(*offset), "^".repeat(*width));
            let _ = writeln!(out, "{pad} |");
            let _ = writeln!(out, "{gutter} | {text}");
            let _ = writeln!(out, "{pad} | {space}{marks}");
        }
        if let Some(Related { line, column, what }) = &self.related {
            let _ = writeln!(out, "{pad} = {what}: {name}:{line}:{column}");
        }
        let _ = writeln!(out, "{pad} = {}", self.mend);
        out
    }
}
