//! The arguments of `gluster` for each command that the manager may have run.
//!
//! Every word is checked first, so that none can be taken for an option or
//! another command. `gluster` gets them as they are: there is no shell.

use std::collections::BTreeSet;
use std::time::Duration;

use super::error::{GlusterError, Kind};
use super::name::{self, BadName};
use crate::storage::agent::api::{Command, VolumeLayout};

/// Most bricks in one command.
const BRICKS: usize = 256;

/// Most options in one command.
const OPTIONS: usize = 64;

/// What every call begins with: no questions, answers in XML.
const FIRST: [&str; 2] = ["--mode=script", "--xml"];

/// The calls that make up a command, in order, each with all its arguments.
pub fn runs(command: &Command) -> Result<Vec<Vec<String>>, BadName> {
    let mut calls: Vec<Vec<&str>> = Vec::new();
    let limit;
    match command {
        Command::PeerProbe(host) => {
            name::host(host)?;
            calls.push(vec!["peer", "probe", host]);
        }
        Command::PeerDetach(host) => {
            name::host(host)?;
            calls.push(vec!["peer", "detach", host]);
        }
        Command::PoolList => calls.push(vec!["pool", "list"]),
        Command::Info(None) => calls.push(vec!["volume", "info"]),
        Command::Info(Some(volume)) => {
            name::volume(volume)?;
            calls.push(vec!["volume", "info", volume]);
        }
        Command::Create(layout) => return Ok(vec![create(layout)?]),
        Command::Start(volume, force) => {
            name::volume(volume)?;
            calls.push(vec!["volume", "start", volume]);
            calls[0].extend(force.then_some("force"));
        }
        Command::Stop(volume) => {
            name::volume(volume)?;
            calls.push(vec!["volume", "stop", volume, "force"]);
        }
        Command::Delete(volume) => {
            name::volume(volume)?;
            calls.push(vec!["volume", "delete", volume]);
        }
        Command::Set(volume, options) => {
            name::volume(volume)?;
            count("options", options.len(), OPTIONS)?;
            calls.push(vec!["volume", "set", volume]);
            for (key, value) in options {
                name::option(key, value)?;
                calls[0].extend([key.as_str(), value]);
            }
        }
        Command::Reset(volume, key) => {
            name::volume(volume)?;
            name::key(key)?;
            calls.push(vec!["volume", "reset", volume, key]);
        }
        Command::Status(volume) => {
            name::volume(volume)?;
            calls.push(vec!["volume", "status", volume, "detail"]);
        }
        Command::HealSummary(volume) => {
            name::volume(volume)?;
            calls.push(vec!["volume", "heal", volume, "info", "summary"]);
        }
        Command::Heal(volume, full) => {
            name::volume(volume)?;
            calls.push(vec!["volume", "heal", volume]);
            calls[0].extend(full.then_some("full"));
        }
        Command::ReplaceBrick(volume, old, new) => {
            name::volume(volume)?;
            name::brick(volume, old)?;
            name::brick(volume, new)?;
            calls.push(vec![
                "volume",
                "replace-brick",
                volume,
                old,
                new,
                "commit",
                "force",
            ]);
        }
        Command::AddBricks(volume, bricks) => {
            name::volume(volume)?;
            distinct(volume, bricks)?;
            calls.push(vec!["volume", "add-brick", volume]);
            calls[0].extend(bricks.iter().map(String::as_str));
        }
        Command::Barrier(volume, on) => {
            name::volume(volume)?;
            let state = if *on { "enable" } else { "disable" };
            calls.push(vec!["volume", "barrier", volume, state]);
        }
        Command::Quota(volume, size) => {
            name::volume(volume)?;
            if *size == 0 {
                return Err(BadName(format!(
                    "volume {volume:?}: a quota of 0 would be none: give its size in KiB"
                )));
            }
            limit = format!("{size}KB");
            calls.push(vec!["volume", "quota", volume, "enable"]);
            calls.push(vec!["volume", "quota", volume, "limit-usage", "/", &limit]);
        }
    }
    Ok(calls.into_iter().map(|call| whole(&call)).collect())
}

fn whole(call: &[&str]) -> Vec<String> {
    FIRST.iter().chain(call).map(|&word| word.into()).collect()
}

fn create(layout: &VolumeLayout) -> Result<Vec<String>, BadName> {
    let VolumeLayout {
        name: volume,
        replica,
        arbiter,
        disperse: (part, redundancy),
        bricks,
        force,
    } = layout;
    name::volume(volume)?;
    distinct(volume, bricks)?;
    let refuse = |why: &str| Err(BadName(format!("volume {volume:?}: {why}")));
    let (copies, coded) = (*replica > 1, *part > 0 || *redundancy > 0);
    if copies && coded {
        return refuse("replicas and erasure coding do not go together");
    }
    if *arbiter > 1 || (*arbiter == 1 && *replica != 3) {
        return refuse("an arbiter is the third of three replicas, and one at most");
    }
    // Gluster's own rule: without it two halves could both be right.
    if coded && (*redundancy == 0 || part <= redundancy) {
        return refuse("erasure coding needs more bricks of data than bricks that may be lost");
    }
    let set = if coded {
        part.saturating_add(*redundancy)
    } else {
        (*replica).max(1)
    };
    if !bricks.len().is_multiple_of(set as usize) {
        return refuse(&format!(
            "{} bricks cannot be dealt into sets of {set}",
            bricks.len()
        ));
    }
    let mut call = whole(&["volume", "create", volume]);
    let mut word = |name: &str, count: u32| call.extend([name.to_owned(), count.to_string()]);
    if copies {
        word("replica", *replica);
        if *arbiter == 1 {
            word("arbiter", 1);
        }
    }
    if coded {
        word("disperse-data", *part);
        word("redundancy", *redundancy);
    }
    call.extend(bricks.iter().cloned());
    call.extend(force.then(|| "force".to_owned()));
    Ok(call)
}

fn distinct(volume: &str, bricks: &[String]) -> Result<(), BadName> {
    count("bricks", bricks.len(), BRICKS)?;
    let mut seen = BTreeSet::new();
    for brick in bricks {
        name::brick(volume, brick)?;
        if !seen.insert(brick) {
            return Err(BadName(format!("brick {brick:?} is named twice")));
        }
    }
    Ok(())
}

fn count(what: &str, number: usize, most: usize) -> Result<(), BadName> {
    if (1..=most).contains(&number) {
        return Ok(());
    }
    Err(BadName(format!(
        "{number} {what} in one command: 1 to {most} are taken"
    )))
}

/// Whether one glusterd answers it alone. All others are taken to every peer, and
/// hang as long as one is gone that is counted on still.
pub fn asks_alone(command: &Command) -> bool {
    matches!(command, Command::PoolList | Command::Info(_))
}

/// Whether `gluster` answers it in words, whatever `--xml` says; see
/// [`super::xml::envelope`].
pub fn answers_in_words(command: &Command) -> bool {
    matches!(command, Command::Heal(..) | Command::Barrier(..))
}

/// How long all calls of a command may take together. `gluster` itself gives
/// up after 120 s, and after 600 s with what moves bricks.
pub fn time_limit(command: &Command) -> Duration {
    Duration::from_secs(match command {
        Command::Info(_) | Command::PoolList => 30,
        Command::Status(_) | Command::HealSummary(_) => 60,
        Command::ReplaceBrick(..) | Command::AddBricks(..) => 300,
        _ => 150,
    })
}

/// Whether the failure says that what was asked for holds already: such as to
/// start what is started. Never so with [`Command::Create`], since a volume of
/// that name may be another one.
pub fn holds_already(command: &Command, error: &GlusterError) -> bool {
    match command {
        Command::Start(..) | Command::Quota(..) | Command::Reset(..) | Command::Barrier(..) => {
            error.kind == Kind::AlreadyDone
        }
        Command::Stop(_) | Command::Delete(_) => error.kind == Kind::NotFound,
        Command::PeerDetach(_) => error.kind == Kind::NotAPeer,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(command: &Command) -> String {
        let calls = runs(command).expect("good names");
        let lines = calls.iter().map(|call| call.join(" "));
        lines.collect::<Vec<_>>().join("; ")
    }

    fn v() -> String {
        "v".into()
    }

    fn layout(replica: u32, arbiter: u32, disperse: (u32, u32), bricks: usize) -> VolumeLayout {
        VolumeLayout {
            name: v(),
            replica,
            arbiter,
            disperse,
            bricks: (1..=bricks).map(|n| format!("h{n}:/b/brick")).collect(),
            force: false,
        }
    }

    #[test]
    fn each_command_has_its_words() {
        let cases = [
            (Command::PeerProbe("10.0.0.1".into()), "peer probe 10.0.0.1"),
            (Command::PeerDetach("h".into()), "peer detach h"),
            (Command::PoolList, "pool list"),
            (Command::Info(None), "volume info"),
            (Command::Info(Some(v())), "volume info v"),
            (Command::Start(v(), false), "volume start v"),
            (Command::Start(v(), true), "volume start v force"),
            (Command::Stop(v()), "volume stop v force"),
            (Command::Delete(v()), "volume delete v"),
            (
                Command::Set(
                    v(),
                    vec![
                        ("user.a".into(), "x y".into()),
                        ("auth.allow".into(), "*".into()),
                    ],
                ),
                "volume set v user.a x y auth.allow *",
            ),
            (
                Command::Reset(v(), "user.a".into()),
                "volume reset v user.a",
            ),
            (Command::Status(v()), "volume status v detail"),
            (Command::HealSummary(v()), "volume heal v info summary"),
            (Command::Heal(v(), false), "volume heal v"),
            (Command::Heal(v(), true), "volume heal v full"),
            (
                Command::ReplaceBrick(v(), "a:/b".into(), "c:/d".into()),
                "volume replace-brick v a:/b c:/d commit force",
            ),
            (
                Command::AddBricks(v(), vec!["a:/b".into(), "c:/d".into()]),
                "volume add-brick v a:/b c:/d",
            ),
            (Command::Barrier(v(), true), "volume barrier v enable"),
            (Command::Barrier(v(), false), "volume barrier v disable"),
        ];
        for (command, words) in cases {
            assert_eq!(line(&command), format!("--mode=script --xml {words}"));
        }
        assert_eq!(
            line(&Command::Quota(v(), 2048)),
            "--mode=script --xml volume quota v enable; --mode=script --xml volume quota v limit-usage / 2048KB"
        );
    }

    #[test]
    fn each_layout_has_its_words() {
        let words = |layout| {
            let line = line(&Command::Create(layout));
            let rest = line.strip_prefix("--mode=script --xml volume create v ");
            rest.expect("a create").to_owned()
        };
        assert_eq!(words(layout(1, 0, (0, 0), 1)), "h1:/b/brick");
        assert_eq!(words(layout(0, 0, (0, 0), 2)), "h1:/b/brick h2:/b/brick");
        assert_eq!(
            words(layout(2, 0, (0, 0), 2)),
            "replica 2 h1:/b/brick h2:/b/brick"
        );
        assert_eq!(
            words(layout(3, 1, (0, 0), 3)),
            "replica 3 arbiter 1 h1:/b/brick h2:/b/brick h3:/b/brick"
        );
        assert_eq!(
            words(VolumeLayout {
                force: true,
                ..layout(1, 0, (2, 1), 3)
            }),
            "disperse-data 2 redundancy 1 h1:/b/brick h2:/b/brick h3:/b/brick force"
        );
    }

    #[test]
    fn layouts_that_cannot_be_are_refused_by_name() {
        for (layout, why) in [
            (layout(2, 0, (0, 0), 3), "sets of 2"),
            (layout(2, 0, (0, 0), 0), "0 bricks"),
            (layout(2, 1, (0, 0), 2), "arbiter"),
            (layout(3, 2, (0, 0), 3), "arbiter"),
            (layout(2, 0, (2, 1), 6), "together"),
            (layout(1, 0, (1, 1), 2), "more bricks of data"),
            (layout(1, 0, (2, 0), 2), "more bricks of data"),
            (layout(1, 0, (u32::MAX, 5), 3), "cannot be dealt"),
            (layout(1, 0, (0, 0), 257), "257 bricks"),
        ] {
            let BadName(text) = runs(&Command::Create(layout)).expect_err(why);
            assert!(text.contains(why), "{text}");
        }
        let mut twice = layout(2, 0, (0, 0), 2);
        twice.bricks[1] = twice.bricks[0].clone();
        let BadName(text) = runs(&Command::Create(twice)).expect_err("one brick twice");
        assert!(text.contains("named twice"), "{text}");
    }

    #[test]
    fn a_bad_name_is_refused_in_every_command() {
        let bad = || "--remote-host=elsewhere".to_owned();
        let set = |options: &[(&str, &str)]| {
            let owned = |&(key, value): &(&str, &str)| (key.to_owned(), value.to_owned());
            Command::Set(v(), options.iter().map(owned).collect())
        };
        let commands = [
            Command::PeerProbe(bad()),
            Command::PeerDetach(bad()),
            Command::Info(Some(bad())),
            Command::Create(VolumeLayout {
                name: bad(),
                ..layout(1, 0, (0, 0), 1)
            }),
            Command::Create(VolumeLayout {
                bricks: vec![bad()],
                ..layout(1, 0, (0, 0), 1)
            }),
            Command::Start(bad(), true),
            Command::Stop(bad()),
            Command::Delete(bad()),
            Command::Set(bad(), vec![("user.a".into(), "b".into())]),
            set(&[]),
            set(&[("--xml", "b")]),
            set(&[("user.a", "--xml")]),
            Command::Reset(v(), bad()),
            Command::Reset(bad(), "user.a".into()),
            Command::Status(bad()),
            Command::HealSummary(bad()),
            Command::Heal(bad(), true),
            Command::ReplaceBrick(bad(), "a:/b".into(), "a:/c".into()),
            Command::ReplaceBrick(v(), bad(), "a:/c".into()),
            Command::ReplaceBrick(v(), "a:/b".into(), bad()),
            Command::AddBricks(v(), vec![bad()]),
            Command::AddBricks(bad(), vec!["a:/b".into()]),
            Command::Barrier(bad(), true),
            Command::Quota(bad(), 1),
            Command::Quota(v(), 0),
        ];
        for command in commands {
            assert!(runs(&command).is_err(), "{command:?}");
        }
    }

    #[test]
    fn what_holds_already_is_no_failure_but_for_a_create() {
        let error = |text: &str| GlusterError {
            kind: crate::storage::gluster::error::classify(0, text),
            errno: 0,
            text: text.into(),
        };
        let started = error("Volume v already started");
        let gone = error("Volume v does not exist");
        assert!(holds_already(&Command::Start(v(), false), &started));
        assert!(holds_already(&Command::Delete(v()), &gone));
        assert!(holds_already(&Command::Stop(v()), &gone));
        assert!(!holds_already(&Command::Start(v(), false), &gone));
        let there = error("Volume v already exists");
        assert!(!holds_already(
            &Command::Create(layout(1, 0, (0, 0), 1)),
            &there
        ));
    }
}
