//! A program under test or beside it: started in a host's namespace, its
//! output in a log file of its own, ended by its process id when dropped. If
//! the test is failing then, the end of the log is printed.

use super::lab::{Host, run};
use super::wait;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};

/// A running program.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    input: Option<ChildStdin>,
}

impl Process {
    /// Starts `command` (made by [`Host::command`]) with its log in the host's directory.
    #[track_caller]
    pub fn start(host: &Host, name: &str, mut command: Command) -> Process {
        let log = host.dir.join(format!("{name}.log"));
        let output = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .expect("a log file");
        let errors = output.try_clone().expect("a second handle of the log file");
        command.stdin(Stdio::piped()).stdout(output).stderr(errors);
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => panic!("{command:?}: {error}"),
        };
        let input = child.stdin.take();
        Process {
            name: format!("{}/{name}", host.name),
            child,
            log,
            input,
        }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The process id, as the test sees it, of its first child: of what
    /// `unshare --fork` runs.
    #[track_caller]
    pub fn first_child(&self) -> u32 {
        let path = format!("/proc/{0}/task/{0}/children", self.id());
        wait::until(&format!("{} has a child", self.name), || {
            let children = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
            let child = children.split_whitespace().next().ok_or("no child")?;
            child.parse().map_err(|_| children.clone())
        })
    }

    /// Writes one line to the program's standard input.
    #[track_caller]
    pub fn tell(&mut self, line: &str) {
        let input = self
            .input
            .as_mut()
            .expect("standard input is open until it is closed");
        if let Err(error) = writeln!(input, "{line}") {
            panic!(
                "{} does not read {line:?}: {error}; it says\n{}",
                self.name,
                self.tail(40)
            );
        }
    }

    /// Sends a signal by name, such as `STOP`.
    pub fn signal(&self, name: &str) {
        run(Command::new("sh").args(["-c", &format!("kill -s {name} {}", self.id())]));
    }

    /// Stops its clock: the sockets stay, nothing is read or written.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Lets a frozen process go on.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    /// Ends it at once, as a crash or the loss of power would.
    pub fn kill(&mut self) {
        // An error here means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    #[track_caller]
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        let name = self.name.clone();
        wait::until(&format!("{name} ends after SIGTERM"), || {
            self.exited().ok_or("it runs".into())
        })
    }

    /// Waits for something that it must be running for: if it ends meanwhile,
    /// so does the test.
    #[track_caller]
    pub fn wait<T>(&mut self, what: &str, mut condition: impl FnMut() -> Result<T, String>) -> T {
        wait::until(what, || {
            if let Some(status) = self.exited() {
                panic!(
                    "{what}: {} has ended, {status}; it said\n{}",
                    self.name,
                    self.tail(40)
                );
            }
            condition()
        })
    }

    /// How it ended, if it has.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child
            .try_wait()
            .expect("our own child can be waited for")
    }

    /// Everything it has written so far.
    pub fn log(&self) -> String {
        read_lossy(&self.log)
    }

    /// The last `lines` of the log.
    pub fn tail(&self, lines: usize) -> String {
        tail(&self.log(), lines)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let ended = self.exited();
        self.kill();
        if std::thread::panicking() {
            let state = ended.map_or("was running".into(), |status| {
                format!("had ended: {status}")
            });
            // Of Kubernetes' programs only what is not mere information.
            let log = self.log();
            let lines: Vec<&str> = log.lines().filter(|line| !is_information(line)).collect();
            let shown = tail(&lines.join("\n"), 60);
            eprintln!("--- {} {state}; the end of its log:\n{shown}", self.name);
        }
    }
}

/// Kubernetes' log lines begin with severity, month and day: `I1123 `.
fn is_information(line: &str) -> bool {
    line.strip_prefix('I')
        .and_then(|rest| rest.get(..4))
        .is_some_and(|date| date.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A text file, whatever bytes it holds; empty when there is none.
pub fn read_lossy(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// The last `lines` of a text.
pub fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
