//! What the kernel knows of a process: processor time and memory.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// One of proc(5)'s clock ticks, which are a hundredth of a second on Linux.
const TICK: Duration = Duration::from_millis(10);

/// Processor time used so far, user and system, ended threads too.
pub fn cpu(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process runs");
    // The name in field 2 may hold blanks; behind its bracket comes field 3.
    let fields = stat.rsplit_once(')').expect("a name in brackets").1;
    let ticks: u32 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u32>().expect("a number of ticks"))
        .sum();
    TICK * ticks
}

/// Memory of a process, in KiB.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Resident and not backed by a file: what the process itself asked for.
    pub anonymous: u64,
    /// All that is resident, the program's text too.
    pub resident: u64,
    /// The highest `resident` since the start or since [`forget_peak`].
    pub peak: u64,
}

/// Memory in use now.
pub fn memory(pid: u32) -> Memory {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let field = |name: &str| {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .expect("a known field");
        let number = line
            .trim_start_matches(':')
            .trim()
            .trim_end_matches("kB")
            .trim();
        number.parse().expect("a number of KiB")
    };
    Memory {
        anonymous: field("RssAnon"),
        resident: field("VmRSS"),
        peak: field("VmHWM"),
    }
}

/// Lets the peak of resident memory begin anew (proc(5), clear_refs).
pub fn forget_peak(pid: u32) {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").expect("our own child's clear_refs");
}

/// Looks at the anonymous memory of some processes every few milliseconds: the
/// kernel keeps the peak of resident memory only.
pub struct PeakWatch {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Vec<u64>>,
}

impl PeakWatch {
    /// Begins to look.
    pub fn start(pids: Vec<u32>) -> Self {
        for pid in &pids {
            forget_peak(*pid);
        }
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut peaks = vec![0; pids.len()];
            while !told.load(Ordering::Relaxed) {
                for (peak, pid) in peaks.iter_mut().zip(&pids) {
                    *peak = memory(*pid).anonymous.max(*peak);
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            peaks
        });
        Self { stop, thread }
    }

    /// Stops, and answers the highest anonymous memory of each process, in KiB.
    pub fn stop(self) -> Vec<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the processes ran")
    }
}
