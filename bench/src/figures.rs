//! Samples, what they come to, and how they are shown and kept.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;

/// Many samples of one thing.
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// Of which numbers: `ms`, `s`, `MB`, `×`.
    pub unit: &'static str,
    /// In the order in which they were taken.
    pub samples: Vec<f64>,
    /// What to reach: for the median and, where there is one, for the 90th percentile.
    pub reach: Option<(f64, Option<f64>)>,
}

impl Figure {
    /// A figure that nothing is asked of.
    pub fn new(name: impl Into<String>, unit: &'static str, samples: Vec<f64>) -> Self {
        Self {
            name: name.into(),
            unit,
            samples,
            reach: None,
        }
    }

    /// What its median has to reach.
    pub fn reach(self, median: f64) -> Self {
        Self {
            reach: Some((median, None)),
            ..self
        }
    }

    /// What its median and its 90th percentile have to reach.
    pub fn reach_both(self, median: f64, p90: f64) -> Self {
        Self {
            reach: Some((median, Some(p90))),
            ..self
        }
    }

    /// The smallest sample that is not below this share of all samples.
    pub fn percentile(&self, share: f64) -> f64 {
        let mut sorted = self.samples.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (share * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.max(1) - 1).copied().unwrap_or(f64::NAN)
    }

    /// The sample in the middle.
    pub fn median(&self) -> f64 {
        self.percentile(0.5)
    }

    fn row(&self) -> String {
        let shown = |value: f64| format!("{value:.2}");
        let (reach, verdict) = match self.reach {
            None => (String::new(), ""),
            Some((median, p90)) => {
                let met =
                    self.median() <= median && p90.is_none_or(|p90| self.percentile(0.9) <= p90);
                let p90 = p90.map(|p90| format!(" / {p90}")).unwrap_or_default();
                (
                    format!("≤ {median}{p90}"),
                    if met { "met" } else { "MISSED" },
                )
            }
        };
        format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            self.name,
            self.unit,
            self.samples.len(),
            shown(self.median()),
            shown(self.percentile(0.9)),
            shown(self.percentile(1.0)),
            reach,
            verdict
        )
    }
}

/// Where figures go: a table to read, and every sample to a file.
pub struct Report {
    raw: File,
    raw_path: PathBuf,
    table: String,
    begun: Instant,
}

impl Report {
    /// Writes raw samples to this file, one figure a line, in JSON.
    pub fn new(raw_path: &Path) -> Self {
        if let Some(folder) = raw_path.parent() {
            fs::create_dir_all(folder).expect("a folder for the raw results");
        }
        let raw = File::create(raw_path).expect("a file for the raw results");
        let table = "| measure | unit | samples | median | p90 | max | reach | |\n|---|---|---|---|---|---|---|---|\n".into();
        Self {
            raw,
            raw_path: raw_path.into(),
            table,
            begun: Instant::now(),
        }
    }

    /// Says what comes next, to whoever waits.
    pub fn progress(&self, what: &str) {
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().unwrap_or_default();
        eprintln!(
            "{:6.1} s  load {load}  {what}",
            self.begun.elapsed().as_secs_f64()
        );
    }

    /// Takes a figure.
    pub fn add(&mut self, figure: Figure) {
        let row = figure.row();
        eprintln!("          {row}");
        writeln!(self.table, "{row}").expect("a String takes everything");
        let samples = json!({"name": figure.name, "unit": figure.unit, "samples": figure.samples});
        writeln!(self.raw, "{samples}").expect("the raw results take a line");
    }

    /// The table, and where the samples are.
    pub fn finish(self) {
        println!("{}", self.table);
        println!(
            "{:.0} s in all; every sample: {}",
            self.begun.elapsed().as_secs_f64(),
            self.raw_path.display()
        );
    }
}

/// In milliseconds; negative when `to` is before `from`.
pub fn ms(from: Instant, to: Instant) -> f64 {
    let forward = to.saturating_duration_since(from);
    let backward = from.saturating_duration_since(to);
    (forward.as_secs_f64() - backward.as_secs_f64()) * 1e3
}

/// In seconds.
pub fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

/// KiB as MB (10^6 octets), the unit of the figures to reach.
pub fn mb(kib: u64) -> f64 {
    kib as f64 * 1024.0 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples() {
        let figure = Figure::new("", "ms", (1..=10).rev().map(f64::from).collect());
        assert_eq!(figure.median(), 5.0);
        assert_eq!(figure.percentile(0.9), 9.0);
        assert_eq!(figure.percentile(1.0), 10.0);
        let one = Figure::new("", "ms", vec![7.0]);
        assert_eq!((one.median(), one.percentile(0.9)), (7.0, 7.0));
    }
}
