//! The Prometheus text format, version 0.0.4.
//!
//! Written here and not by a library, because MetalLB's names have to be kept
//! and some of its gauges end in `_total`.

use std::fmt::{Display, Write};

use super::histogram::Histogram;

/// `Content-Type` of a [`Page`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// One answer to a scrape.
#[derive(Debug, Default)]
pub struct Page {
    text: String,
}

/// The TYPE of a metric family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names are the documentation
pub enum Kind {
    Counter,
    Gauge,
}

impl Page {
    /// Opens a family: its samples follow. `help` is one line.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    /// One sample of the family just opened.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(name);
        self.labels(labels);
        self.line(format_args!(" {value}"));
    }

    /// A family with one sample and no label.
    pub fn single(&mut self, name: &str, kind: Kind, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    /// A family of type histogram, in seconds.
    pub fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} histogram"));
        let seen = histogram.read();
        for (bound, count) in &seen.cumulative {
            self.line(format_args!("{name}_bucket{{le=\"{bound}\"}} {count}"));
        }
        self.line(format_args!("{name}_bucket{{le=\"+Inf\"}} {}", seen.count));
        self.line(format_args!("{name}_sum {}", seen.sum.as_secs_f64()));
        self.line(format_args!("{name}_count {}", seen.count));
    }

    /// The whole page.
    pub fn into_text(self) -> String {
        self.text
    }

    fn labels(&mut self, labels: &[(&str, &str)]) {
        for (i, (key, value)) in labels.iter().enumerate() {
            self.text.push(if i == 0 { '{' } else { ',' });
            self.text.push_str(key);
            self.text.push_str("=\"");
            for c in value.chars() {
                match c {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    c => self.text.push(c),
                }
            }
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        writeln!(self.text, "{text}").expect("writing to a String does not fail");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use expect_test::expect;

    use super::*;

    #[test]
    fn labels_are_escaped_and_families_have_help_and_type() {
        let mut page = Page::default();
        page.family("metallb_bgp_session_up", Kind::Gauge, "1 = Established");
        page.sample(
            "metallb_bgp_session_up",
            &[("peer", "a\"b\\c\nd"), ("x", "y")],
            1,
        );
        page.single("loods_up_total", Kind::Counter, "one", 2);
        expect![[r#"
            # HELP metallb_bgp_session_up 1 = Established
            # TYPE metallb_bgp_session_up gauge
            metallb_bgp_session_up{peer="a\"b\\c\nd",x="y"} 1
            # HELP loods_up_total one
            # TYPE loods_up_total counter
            loods_up_total 2
        "#]]
        .assert_eq(&page.into_text());
    }

    #[test]
    fn a_histogram_is_cumulative() {
        let histogram = Histogram::default();
        histogram.observe(Duration::from_micros(300));
        histogram.observe(Duration::from_millis(30));
        let mut page = Page::default();
        page.histogram("h_seconds", "how long", &histogram);
        let text = page.into_text();
        assert!(
            text.contains("h_seconds_bucket{le=\"0.0005\"} 1\n"),
            "{text}"
        );
        assert!(text.contains("h_seconds_bucket{le=\"0.05\"} 2\n"), "{text}");
        assert!(
            text.ends_with(
                "h_seconds_bucket{le=\"+Inf\"} 2\nh_seconds_sum 0.0303\nh_seconds_count 2\n"
            ),
            "{text}"
        );
    }
}
