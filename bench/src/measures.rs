//! The measures that need a cluster, in the order in which one run takes them:
//! first what creating Services costs, then, at each size of the cluster, one
//! endpoint's change, memory, a relist, a changed community and a restart.

use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use std::io::{Read, Write};

use crate::api::BareWatch;
use crate::figures::{Figure, Report, mb, ms, seconds};
use crate::fleet::{Fleet, metrics_address};
use crate::proc::PeakWatch;
use crate::router::AllTold;
use crate::world::{CONFIG, NODES, SLICES, SYSTEM, World, speaker_address};

/// How much of everything one run takes.
pub struct Extent {
    /// How often 1,000 Services are created, alone and with Loods.
    pub rounds: usize,
    /// Numbers of Services at which the rest is measured, rising.
    pub sizes: Vec<usize>,
    /// Endpoints that go and come back, at each size.
    pub flips: usize,
    /// Changes of the community, and restarts of a speaker.
    pub repeats: usize,
}

/// Services of the measures that have one number only.
const MANY: usize = 1000;
/// Before anything is called settled.
const SETTLE: Duration = Duration::from_secs(2);
/// Between two flips: the machine has two cores for some ten processes.
const PAUSE: Duration = Duration::from_millis(20);
/// Before something that should take milliseconds is called lost.
const LIMIT: Duration = Duration::from_secs(60);
/// The same for what takes minutes with a slow product.
const LONG: Duration = Duration::from_secs(600);

/// 1,000 Services created alone and with Loods, in turn: time and processor time.
pub fn creation(report: &mut Report, world: &World<'_>, loods: &Path, extent: &Extent) {
    let (mut alone, mut with, mut ratio) = (vec![], vec![], vec![]);
    let (mut allocator, mut speaker, mut after) = (vec![], vec![], vec![]);
    for round in 1..=extent.rounds {
        report.progress(&format!(
            "1,000 Services created alone, round {round} of {}",
            extent.rounds
        ));
        let bare = world.create_services(0..MANY);
        world.delete_services(0..MANY);
        std::thread::sleep(SETTLE);

        report.progress(&format!(
            "1,000 Services created with Loods, round {round} of {}",
            extent.rounds
        ));
        let fleet = Fleet::start(world, loods);
        warm_up(world);
        let before = fleet.cpu();
        let begun = std::time::Instant::now();
        let creating = world.create_services(0..MANY);
        let whole = world
            .all_announced(MANY, LONG)
            .saturating_duration_since(begun);
        // Events and the like that come behind count as well.
        std::thread::sleep(SETTLE);
        let mut used = fleet
            .cpu()
            .into_iter()
            .zip(before)
            .map(|(now, then)| seconds(now - then));
        allocator.extend(used.next());
        speaker.extend(used);
        alone.push(seconds(bare));
        with.push(seconds(whole));
        after.push(seconds(whole.saturating_sub(creating)) * 1e3);
        ratio.push(whole.as_secs_f64() / bare.as_secs_f64());
        world.delete_services(0..MANY);
        world.all_announced(0, LONG);
        fleet.stop(world);
    }
    report.add(Figure::new(
        "1,000 Services created alone (floor)",
        "s",
        alone,
    ));
    report.add(Figure::new(
        "1,000 Services created → all announced by 3 nodes",
        "s",
        with,
    ));
    report.add(Figure::new("the same as a multiple of the floor", "×", ratio).reach(1.5));
    report.add(Figure::new(
        "last Service created → last UPDATE",
        "ms",
        after,
    ));
    report.add(Figure::new("processor time for that, allocator", "s", allocator).reach(1.0));
    report.add(Figure::new("processor time for that, each speaker", "s", speaker).reach(0.5));
}

/// Everything that depends on the size of the cluster.
pub fn sizes(report: &mut Report, world: &mut World<'_>, loods: &Path, extent: &Extent) {
    let mut fleet = Fleet::start(world, loods);
    warm_up(world);
    std::thread::sleep(SETTLE);
    memory(report, &fleet, 0);
    let mut count = 0;
    for size in extent.sizes.iter().copied() {
        report.progress(&format!("growing to {size} Services"));
        world.create_services(count..size);
        count = size;
        world.all_announced(count, LONG);
        std::thread::sleep(SETTLE);
        if count >= MANY {
            memory(report, &fleet, count);
        }
        flips(report, world, count, extent.flips);
        if count == MANY {
            communities(report, world, count, extent.repeats);
            restarts(report, world, loods, &mut fleet, count, extent.repeats);
        }
        if count >= MANY {
            relist(report, world, &fleet, count);
        }
    }
    fleet.stop(world);
}

/// One Service there and back: whoever gives addresses out has the Lease, and all watches are open.
fn warm_up(world: &World<'_>) {
    world.create_services(0..1);
    world.all_announced(1, LIMIT);
    world.delete_services(0..1);
    world.all_announced(0, LIMIT);
}

/// Endpoints go and come back, one at a time, each against the bare watch's own sight of it.
fn flips(report: &mut Report, world: &World<'_>, count: usize, flips: usize) {
    report.progress(&format!(
        "{flips} flips of an endpoint with {count} Services"
    ));
    let prefixes = world.prefixes(count);
    let floor = BareWatch::start(&world.admin, SLICES);
    let (mut withdrawn, mut announced) = (vec![], vec![]);
    world.router.forget();
    for flip in 0..flips {
        // 7919 is prime: every Service has its turn, none twice in a row.
        let number = flip * 7919 % count;
        let node = (flip % usize::from(NODES)) as u8 + 1;
        let (from, prefix) = (speaker_address(node), prefixes[number]);
        let version = world.set_ready(number, node, false);
        let gone = world
            .router
            .wait(LIMIT, |told| told[&from].withdrawn.get(&prefix).copied());
        let gone = gone.expect("an endpoint that is not ready is withdrawn");
        withdrawn.push(ms(floor.when(&version), gone));
        std::thread::sleep(PAUSE);
        let version = world.set_ready(number, node, true);
        let back = world
            .router
            .wait(LIMIT, |told| told[&from].routes.get(&prefix).copied());
        let back = back.expect("an endpoint that is ready is announced");
        announced.push(ms(floor.when(&version), back));
        std::thread::sleep(PAUSE);
    }
    let name = |what: &str| format!("endpoint {what}, {count} Services: UPDATE minus bare watch");
    report.add(Figure::new(name("not ready → withdrawn"), "ms", withdrawn).reach_both(0.5, 1.5));
    report.add(Figure::new(name("ready → announced"), "ms", announced).reach_both(0.5, 1.5));
}

/// The ConfigMap gets another community; every route is announced again by every node.
fn communities(report: &mut Report, world: &World<'_>, count: usize, repeats: usize) {
    report.progress(&format!("{repeats} changes of the community"));
    let floor = BareWatch::start(
        &world.admin,
        &format!("/api/v1/namespaces/{SYSTEM}/configmaps"),
    );
    let mut samples = vec![];
    for repeat in 0..repeats {
        world.router.forget();
        let version = world.set_community(u16::from(repeat % 2 == 0) + 1);
        let again = |told: &AllTold| {
            let mut last = None;
            for node in 1..=NODES {
                let told = told
                    .get(&speaker_address(node))
                    .filter(|told| told.announced >= count as u64)?;
                last = last.max(told.last_update);
            }
            last
        };
        let last = world
            .router
            .wait(LIMIT, again)
            .expect("every route is announced again");
        samples.push(ms(floor.when(&version), last));
        std::thread::sleep(PAUSE);
    }
    assert!(!world.api.read(CONFIG).is_null(), "the ConfigMap is there");
    let name = format!(
        "one community changed, {count} Services: ConfigMap at a bare watch → all announced again"
    );
    report.add(Figure::new(name, "ms", samples).reach(100.0));
}

/// One speaker ends and starts again.
fn restarts(
    report: &mut Report,
    world: &World<'_>,
    loods: &Path,
    fleet: &mut Fleet,
    count: usize,
    repeats: usize,
) {
    report.progress(&format!("{repeats} restarts of a speaker"));
    let mut samples = vec![];
    for _ in 0..repeats {
        let begun = fleet.restart_speaker(world, loods, NODES);
        let complete = world.router.wait(LIMIT, |told| {
            told.get(&speaker_address(NODES))?
                .end_of_rib
                .map(|at| (at, told[&speaker_address(NODES)].routes.len()))
        });
        let (complete, routes) =
            complete.unwrap_or_else(|| panic!("no End-of-RIB; {}", fleet.tails()));
        assert_eq!(routes, count, "End-of-RIB comes behind the whole table");
        samples.push(ms(begun, complete));
    }
    report.add(
        Figure::new(
            format!("speaker: exec → End-of-RIB with {count} Services"),
            "ms",
            samples,
        )
        .reach(300.0),
    );
}

/// The API server dies and comes back; every watch begins with a new list.
fn relist(report: &mut Report, world: &mut World<'_>, fleet: &Fleet, count: usize) {
    report.progress(&format!(
        "the API server dies and comes back, {count} Services"
    ));
    let lists = |node| metric(node, "list").unwrap_or_default();
    let before: Vec<String> = (0..=NODES).map(lists).collect();
    let watch = PeakWatch::start(fleet.pids());
    world.plane.kill_api();
    world.plane.start_api();
    let prefixes = world.prefixes(count);
    world.router.forget();
    for node in 1..=NODES {
        let (from, prefix) = (speaker_address(node), prefixes[0]);
        world.set_ready(0, node, false);
        let gone = world
            .router
            .wait(LIMIT, |told| told[&from].withdrawn.get(&prefix).copied());
        assert!(
            gone.is_some(),
            "the speaker of n{node} has no watch again\n{}",
            fleet.tails()
        );
        world.set_ready(0, node, true);
    }
    world.all_announced(count, LIMIT);
    // The allocator too is there again when a new Service has its address.
    world.create_services(count..count + 1);
    world.all_announced(count + 1, LIMIT);
    let anonymous = watch.stop();
    world.delete_one(count);
    world.all_announced(count, LIMIT);
    for (node, before) in (0..=NODES).zip(before) {
        eprintln!(
            "          lists of node {node} (0 is the allocator), before: {before}; after: {}",
            lists(node)
        );
    }
    let resident: Vec<u64> = fleet.memory().iter().map(|memory| memory.peak).collect();
    let limit = limit_of(count);
    for (role, places) in [("allocator", 0..1), ("speaker", 1..anonymous.len())] {
        let name =
            |kind: &str| format!("{role}, peak of {kind} memory in a relist, {count} Services");
        let of = |all: &[u64]| all[places.clone()].iter().copied().map(mb).collect();
        report.add(Figure::new(name("anonymous"), "MB", of(&anonymous)).reach(limit));
        report.add(Figure::new(name("resident"), "MB", of(&resident)));
    }
}

fn memory(report: &mut Report, fleet: &Fleet, count: usize) {
    let all = fleet.memory();
    for (role, places) in [("allocator", 0..1), ("speaker", 1..all.len())] {
        let name = |kind: &str| format!("{role}, {kind} memory, {count} Services");
        let anonymous = all[places.clone()]
            .iter()
            .map(|memory| mb(memory.anonymous))
            .collect();
        let resident = all[places]
            .iter()
            .map(|memory| mb(memory.resident))
            .collect();
        report.add(Figure::new(name("anonymous"), "MB", anonymous).reach(limit_of(count)));
        report.add(Figure::new(name("resident"), "MB", resident));
    }
}

/// MB of anonymous memory that may be in use with so many Services.
fn limit_of(count: usize) -> f64 {
    match count {
        0 => 6.0,
        1..=MANY => 8.0,
        _ => 25.0,
    }
}

/// The lines of a process's /metrics that name something.
fn metric(node: u8, word: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(metrics_address(node))?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let lines = text
        .lines()
        .filter(|line| !line.starts_with('#') && line.contains(word));
    Ok(lines.collect::<Vec<_>>().join(", "))
}
