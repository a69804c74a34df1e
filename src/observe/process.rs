//! What the kernel says of this process, under Prometheus' usual names.

use std::fs;

use super::exposition::{Kind, Page};

/// Kernel ticks in a second, as /proc counts CPU time (USER_HZ, 100 on every
/// architecture that Linux has today).
const TICKS: f64 = 100.0;

/// Adds the process' own figures. What /proc does not tell is left out.
pub fn write(page: &mut Page) {
    if let Some(ticks) = cpu_ticks(&fs::read_to_string("/proc/self/stat").unwrap_or_default()) {
        #[allow(clippy::cast_precision_loss)] // wraps after millions of years
        let seconds = ticks as f64 / TICKS;
        page.single(
            "process_cpu_seconds_total",
            Kind::Counter,
            "User and system CPU time in seconds.",
            seconds,
        );
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let fields = [
        (
            "VmRSS:",
            "process_resident_memory_bytes",
            "Resident memory in bytes.",
        ),
        (
            "RssAnon:",
            "loods_process_anonymous_memory_bytes",
            "Resident memory that is not backed by a file, in bytes.",
        ),
    ];
    for (field, name, help) in fields {
        if let Some(kilobytes) = status_kilobytes(&status, field) {
            page.single(name, Kind::Gauge, help, kilobytes * 1024);
        }
    }
    if let Ok(descriptors) = fs::read_dir("/proc/self/fd") {
        page.single(
            "process_open_fds",
            Kind::Gauge,
            "Open file descriptors.",
            descriptors.count(),
        );
    }
}

/// Fields 14 and 15 of /proc/PID/stat; the second field, the name in
/// parentheses, may hold spaces.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn status_kilobytes(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let stat = "42 (a) b) S 1 2 3 4 5 6 7 8 9 10 70 30 0 0 20 0";
        assert_eq!(cpu_ticks(stat), Some(100));
        assert_eq!(cpu_ticks(""), None);
    }

    #[test]
    fn this_process_has_memory_and_descriptors() {
        let mut page = Page::default();
        write(&mut page);
        let text = page.into_text();
        for name in [
            "process_cpu_seconds_total ",
            "process_resident_memory_bytes ",
            "process_open_fds ",
        ] {
            assert!(text.contains(name), "{name} is missing in\n{text}");
        }
    }
}
