//! How a demo's story looks: what a person types, what they see, and what of it
//! is new.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};

use tokio_util::sync::CancellationToken;

/// Writes to standard output.
pub(crate) struct Page {
    colours: bool,
    /// Cancelled when nobody reads any more.
    unread: CancellationToken,
    /// Each table as it was shown last, by its command.
    shown: BTreeMap<&'static str, Vec<(String, String)>>,
}

const BOLD: &str = "1";
const DIM: &str = "2";
const GREEN: &str = "32";
const RED: &str = "31";
const CYAN: &str = "36";

impl Page {
    /// Coloured on a terminal, unless NO_COLOR is set. `unread` is cancelled
    /// when standard output is closed.
    pub(crate) fn new(unread: CancellationToken) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            colours: wanted && std::io::stdout().is_terminal(),
            unread,
            shown: BTreeMap::new(),
        }
    }

    /// The head of a step.
    pub(crate) fn title(&self, number: usize, title: &str) {
        let mark = self.paint(BOLD, &format!("{number:>2}. {title}"));
        self.say(&format!("\n{mark}"));
    }

    /// A sentence.
    pub(crate) fn note(&self, text: &str) {
        for line in text.lines().flat_map(|line| wrap(line, 92)) {
            self.say(&format!("    {line}"));
        }
    }

    /// A command that a person would type.
    pub(crate) fn command(&self, prompt: &str, command: &str) {
        let line = format!("{prompt} {command}");
        self.say(&format!("    {}", self.paint(CYAN, &line)));
    }

    /// Literal lines, as of a file.
    pub(crate) fn lines(&self, text: &str) {
        for line in text.lines() {
            self.say(&format!("    {}", self.paint(DIM, line)));
        }
    }

    /// A table under the command that shows it. Against the last time, new
    /// lines are marked, and with `losses` also those that are gone. Ages are
    /// no news.
    pub(crate) fn table(&mut self, prompt: &str, command: &'static str, table: &str, losses: bool) {
        self.command(prompt, command);
        let now = keyed(table);
        let before = self.shown.insert(command, now.clone());
        for (mark, line) in compared(before.as_deref(), now) {
            match mark {
                ' ' => self.say(&format!("    {line}")),
                '>' => self.say(&format!("  {}", self.paint(GREEN, &format!("> {line}")))),
                _ if losses => self.say(&format!("  {}", self.paint(RED, &format!("- {line}")))),
                _ => {}
            }
        }
    }

    /// A step went as it should.
    pub(crate) fn good(&self, text: &str) {
        self.say(&format!(
            "    {}",
            self.paint(GREEN, &format!("ok: {text}"))
        ));
    }

    /// It did not.
    pub(crate) fn bad(&self, text: &str) {
        for line in text.lines() {
            self.say(&format!(
                "    {}",
                self.paint(RED, &format!("WRONG: {line}"))
            ));
        }
    }

    /// A line as it is.
    pub(crate) fn say(&self, line: &str) {
        if writeln!(std::io::stdout().lock(), "{line}").is_err() {
            self.unread.cancel();
        }
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colours {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Rows under each other: each column as wide as its widest cell, `gap` blanks
/// between two.
pub(crate) fn columns<const N: usize>(rows: &[[String; N]], gap: usize) -> String {
    use std::fmt::Write as _;
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let mut page = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            // Writing to a String cannot fail.
            let _ = write!(line, "{cell:<width$}{:gap$}", "");
        }
        page.push_str(line.trim_end());
        page.push('\n');
    }
    page
}

/// A line without its ages and counters, which change by themselves. The last
/// number of a line is what the line is about.
fn without_ages(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let last = words.len().saturating_sub(1);
    let changes = |place: usize, word: &str| {
        let clock = word.len() == 8 && word.matches(':').count() == 2;
        let age = word.strip_suffix('s').is_some_and(is_number);
        clock || age || place != last && is_number(word)
    };
    let words = words.into_iter().enumerate();
    let kept = words.filter(|(place, word)| !changes(*place, word));
    kept.map(|(_, word)| word).collect::<Vec<_>>().join(" ")
}

/// Each line and what makes it news. A line that is indented goes on with the
/// one above: it is as new as both together.
fn keyed(table: &str) -> Vec<(String, String)> {
    let mut head = String::new();
    let keyed = |line: &str| {
        let key = without_ages(line);
        let key = if line.starts_with(' ') {
            format!("{head} {key}")
        } else {
            head = line
                .split_whitespace()
                .take(2)
                .collect::<Vec<_>>()
                .join(" ");
            format!("{head} {}", key.strip_prefix(&head).unwrap_or(&key).trim())
        };
        (key, line.to_owned())
    };
    table.lines().map(keyed).collect()
}

/// The lines of `now`, marked where they are new, with those of `before` that
/// are gone where they stood.
fn compared(
    before: Option<&[(String, String)]>,
    now: Vec<(String, String)>,
) -> Vec<(char, String)> {
    let Some(before) = before else {
        return now.into_iter().map(|(_, line)| (' ', line)).collect();
    };
    let is_new = |key: &str| before.iter().all(|(old, _)| old != key);
    let mut lines: Vec<(char, String, String)> = now
        .into_iter()
        .map(|(key, line)| (if is_new(&key) { '>' } else { ' ' }, key, line))
        .collect();
    let mut place = 0;
    for (key, line) in before {
        match lines.iter().position(|(_, held, _)| held == key) {
            Some(held) => place = held + 1,
            None => {
                lines.insert(place, ('-', key.clone(), line.clone()));
                place += 1;
            }
        }
    }
    lines
        .into_iter()
        .map(|(mark, _, line)| (mark, line))
        .collect()
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit())
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    if text.len() <= width {
        return vec![text.to_owned()];
    }
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is at least one");
        if line.is_empty() {
            word.clone_into(line);
        } else if line.len() + 1 + word.len() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_and_counters_are_no_news() {
        let line = |count: u8, clock: &str, age: &str| {
            format!("127.0.0.101 4 65559 {count} {clock} {age} 2")
        };
        assert_eq!(
            without_ages(&line(12, "00:00:01", "3s")),
            without_ages(&line(14, "00:01:00", "12s"))
        );
        assert_eq!(
            without_ages("1.2.3.4/32 via x, lo, 00:00:01"),
            "1.2.3.4/32 via x, lo,"
        );
    }

    #[test]
    fn a_line_that_goes_on_is_known_by_its_head() {
        let table = "B 1.2.3.4/32 via a, lo\n             via b, lo\n";
        let keys: Vec<String> = keyed(table).into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["B 1.2.3.4/32 via a, lo", "B 1.2.3.4/32 via b, lo"]);
    }

    #[test]
    fn what_is_new_and_what_is_gone_stand_where_they_belong() {
        let marks = |before: &str, now: &str| {
            let lines = compared(Some(&keyed(before)), keyed(now)).into_iter();
            lines
                .map(|(mark, line)| format!("{mark}{line}"))
                .collect::<Vec<_>>()
        };
        assert_eq!(marks("a\nb\nc\n", "a\nc\nd\n"), [" a", "-b", " c", ">d"]);
        assert_eq!(marks("a\n", ""), ["-a"]);
    }

    #[test]
    fn long_sentences_are_wrapped_at_words() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
    }
}
