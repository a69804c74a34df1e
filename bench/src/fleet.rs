//! The Loods processes under measure: an allocator and three speakers, each
//! with its own account and the rights of the manifests.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::proc::{self, Memory};
use crate::support::process::Process;
use crate::world::{NODES, SYSTEM, World, speaker_address};

/// How long a start may take before the bench gives up.
const START: Duration = Duration::from_secs(60);

/// One allocator and one speaker a node.
pub struct Fleet {
    /// Gives addresses out.
    pub allocator: Process,
    /// In the order of their nodes.
    pub speakers: Vec<Process>,
}

impl Fleet {
    /// Starts all of them, and waits until a Service gets its address and three routes.
    pub fn start(world: &World<'_>, loods: &Path) -> Self {
        for role in ["allocator", "speaker"] {
            let account = format!("loods-{role}");
            world.plane.kubeconfig(
                &kubeconfig(world, role),
                SYSTEM,
                &account,
                &world.plane.server(),
            );
        }
        let allocator = start(world, loods, "allocator", 0);
        let speakers = (1..=NODES)
            .map(|node| start_speaker(world, loods, node))
            .collect();
        let up = world.router.wait(START, |told| {
            let is_up = |node| {
                told.get(&speaker_address(node))
                    .is_some_and(|told| told.up.is_some() && !told.down)
            };
            (1..=NODES).all(is_up).then_some(())
        });
        let fleet = Self {
            allocator,
            speakers,
        };
        assert!(
            up.is_some(),
            "three sessions; {}\n{}",
            world.router.summary(),
            fleet.tails()
        );
        fleet
    }

    /// Stops all of them as Kubernetes would, and waits until the router has seen it.
    pub fn stop(mut self, world: &World<'_>) {
        self.allocator.terminate();
        for speaker in &mut self.speakers {
            speaker.terminate();
        }
        let down = world.router.wait(START, |told| {
            told.values().all(|told| told.down).then_some(())
        });
        assert!(down.is_some(), "sessions end with their speakers");
        world.router.forget();
    }

    /// Stops one speaker and starts it again; answers the moment of exec.
    pub fn restart_speaker(&mut self, world: &World<'_>, loods: &Path, node: u8) -> Instant {
        let place = usize::from(node) - 1;
        self.speakers[place].terminate();
        let address = speaker_address(node);
        let down = world
            .router
            .wait(START, |told| told[&address].down.then_some(()));
        assert!(down.is_some(), "a session ends with its speaker");
        world.router.forget();
        let begun = Instant::now();
        self.speakers[place] = start_speaker(world, loods, node);
        begun
    }

    /// Every process: the allocator first.
    pub fn pids(&self) -> Vec<u32> {
        std::iter::once(&self.allocator)
            .chain(&self.speakers)
            .map(Process::id)
            .collect()
    }

    /// Processor time of the allocator, and of each speaker.
    pub fn cpu(&self) -> Vec<Duration> {
        self.pids().into_iter().map(proc::cpu).collect()
    }

    /// Memory of the allocator, and of each speaker.
    pub fn memory(&self) -> Vec<Memory> {
        self.pids().into_iter().map(proc::memory).collect()
    }

    /// The ends of all logs.
    pub fn tails(&self) -> String {
        let tail = |process: &Process| process.tail(15);
        std::iter::once(&self.allocator)
            .chain(&self.speakers)
            .map(tail)
            .collect::<Vec<_>>()
            .join("\n--\n")
    }
}

/// Where this node's process serves /metrics (the allocator's is node 0).
pub fn metrics_address(node: u8) -> String {
    format!("127.0.0.1:{}", 7500 + u16::from(node))
}

fn start_speaker(world: &World<'_>, loods: &Path, node: u8) -> Process {
    start(world, loods, "speaker", node)
}

fn start(world: &World<'_>, loods: &Path, role: &str, node: u8) -> Process {
    let name = format!("n{}", node.max(1));
    let mut command = Command::new(loods);
    command.args([
        "run",
        "--role",
        role,
        "--node-name",
        &name,
        "--namespace",
        SYSTEM,
    ]);
    command.arg("--kubeconfig").arg(kubeconfig(world, role));
    command.args(["--listen", &metrics_address(node)]);
    command.args(["--state", &format!("127.0.0.1:{}", 7600 + u16::from(node))]);
    Process::start(world.lab.core(), &format!("{role}-{node}"), command)
}

fn kubeconfig(world: &World<'_>, role: &str) -> std::path::PathBuf {
    world.lab.dir().join(format!("{role}.conf"))
}
