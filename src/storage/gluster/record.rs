//! What a volume is to Loods, kept with the volume itself: options
//! `user.loods.*`, which glusterd replicates to every peer and shows in
//! `volume info`. So there is no database to lose or to fall out of step.
//!
//! One option for each field, in words that a person can read and mend. They
//! are set by one `volume set`, so that a volume has all of them or none.

use std::collections::BTreeMap;

use super::name;
use crate::storage::heketi::wire::{Disperse, Durability, Replicate, Snapshot};

/// What all our options begin with.
pub const PREFIX: &str = "user.loods.";

/// Bricks of a set, at most.
pub const MOST_BRICKS: i64 = 1000;

/// Largest size, in GiB: 1 EiB.
const LARGEST: i64 = 1 << 30;

/// What was asked for when a volume was made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// Its id in Heketi's API.
    pub id: String,
    /// Id of its cluster.
    pub cluster: String,
    /// In GiB, as it is now.
    pub size: i64,
    /// Group that may write; 0: none.
    pub gid: i64,
    /// How it survives.
    pub durability: Durability,
    /// Options that were asked for, each `key value`.
    pub options: Vec<String>,
    /// Room for snapshots that was asked for.
    pub snapshot: Snapshot,
    /// What it began with.
    pub source: Option<Source>,
}

/// What a volume was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A snapshot, by its id.
    Snapshot(String),
    /// Another volume, by its id.
    Volume(String),
}

/// Why a volume's options are no [`Record`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("option {PREFIX}{option} is {value:?}: {why}")]
pub struct BadRecord {
    /// The option, without its prefix.
    pub option: &'static str,
    /// Its value, "" when it is absent.
    pub value: String,
    /// What it should be.
    pub why: &'static str,
}

impl Record {
    /// The options of a volume that say this.
    pub fn encode(&self) -> Vec<(String, String)> {
        let mut options = Vec::new();
        let mut put = |name: &str, value: String| options.push((format!("{PREFIX}{name}"), value));
        put("id", self.id.clone());
        put("cluster", self.cluster.clone());
        put("size", format!("{}Gi", self.size));
        put("gid", self.gid.to_string());
        put("durability", durability_words(&self.durability));
        put("snapshot", snapshot_words(self.snapshot));
        // Never empty, since glusterd takes no empty value; as JSON, since an
        // option may hold any character but for control characters.
        put("options", serde_json::json!(self.options).to_string());
        put(
            "source",
            match &self.source {
                None => "none".into(),
                Some(Source::Snapshot(id)) => format!("snapshot {id}"),
                Some(Source::Volume(id)) => format!("volume {id}"),
            },
        );
        options
    }

    /// Reads it from all options of a volume; `None`: the volume is not ours.
    pub fn decode(options: &BTreeMap<String, String>) -> Result<Option<Self>, BadRecord> {
        let ours = options.range(PREFIX.to_owned()..).next();
        if !ours.is_some_and(|(name, _)| name.starts_with(PREFIX)) {
            return Ok(None);
        }
        let field = |option: &'static str| Field {
            option,
            value: options
                .get(&format!("{PREFIX}{option}"))
                .map_or("", String::as_str),
        };
        Ok(Some(Self {
            id: field("id").id()?,
            cluster: field("cluster").id()?,
            size: field("size").read("must be a number of GiB such as 2Gi", |value| {
                let size = value.strip_suffix("Gi")?.parse().ok()?;
                (1..=LARGEST).contains(&size).then_some(size)
            })?,
            gid: field("gid").read("must be a group's number, or 0", |value| {
                let gid = value.parse().ok()?;
                (0..=i64::from(i32::MAX)).contains(&gid).then_some(gid)
            })?,
            durability: field("durability").read(
                "must be 'none', 'replicate N' or 'disperse N M'",
                durability,
            )?,
            snapshot: field("snapshot").read("must be 'off' or a factor such as 1.5", snapshot)?,
            options: field("options").read("must be a list in JSON", |value| {
                serde_json::from_str(value).ok()
            })?,
            source: field("source").read("must be 'none', 'snapshot ID' or 'volume ID'", source)?,
        }))
    }
}

/// One option as it is read.
struct Field<'a> {
    option: &'static str,
    value: &'a str,
}

impl Field<'_> {
    fn read<T>(
        &self,
        why: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, BadRecord> {
        parse(self.value).ok_or_else(|| BadRecord {
            option: self.option,
            value: self.value.chars().take(80).collect(),
            why,
        })
    }

    fn id(&self) -> Result<String, BadRecord> {
        self.read("must be 32 lower-case hexadecimal digits", |value| {
            name::id(value).ok().map(|()| value.to_owned())
        })
    }
}

/// The kind that holds, and in parentheses what was asked beside it: clients send
/// all kinds with their defaults, and are shown what they sent.
fn durability_words(durability: &Durability) -> String {
    let replicate = durability.replicate.replica;
    let Disperse { data, redundancy } = durability.disperse;
    let mut kinds = vec![
        (
            "replicate",
            format!("replicate {replicate}"),
            replicate != 0,
        ),
        (
            "disperse",
            format!("disperse {data} {redundancy}"),
            (data, redundancy) != (0, 0),
        ),
    ];
    let mut words = String::from("none");
    kinds.retain(|(kind, told, _)| {
        let holds = *kind == durability.kind;
        if holds {
            words.clone_from(told);
        }
        !holds
    });
    let asked = kinds.into_iter().filter(|(_, _, asked)| *asked);
    let asked: Vec<String> = asked.map(|(_, told, _)| told).collect();
    if !asked.is_empty() {
        words += &format!(" ({})", asked.join(", "));
    }
    words
}

fn durability(value: &str) -> Option<Durability> {
    let (holds, asked) = match value.split_once(" (") {
        Some((holds, asked)) => (holds, asked.strip_suffix(')')?),
        None => (value, ""),
    };
    let mut durability = Durability {
        kind: holds.split(' ').next()?.to_owned(),
        ..Durability::default()
    };
    let asked = asked.split(", ").filter(|words| !words.is_empty());
    for words in std::iter::once(holds).chain(asked) {
        let words: Vec<&str> = words.split(' ').collect();
        let number = |word: &str| word.parse().ok().filter(|n| (0..=MOST_BRICKS).contains(n));
        match words[..] {
            ["none"] => {}
            ["replicate", replica] => {
                durability.replicate = Replicate {
                    replica: number(replica)?,
                };
            }
            ["disperse", data, redundancy] => {
                durability.disperse = Disperse {
                    data: number(data)?,
                    redundancy: number(redundancy)?,
                };
            }
            _ => return None,
        }
    }
    Some(durability)
}

fn snapshot_words(snapshot: Snapshot) -> String {
    if snapshot.enable {
        snapshot.factor.to_string()
    } else {
        "off".into()
    }
}

fn snapshot(value: &str) -> Option<Snapshot> {
    if value == "off" {
        return Some(Snapshot {
            enable: false,
            factor: 1.0,
        });
    }
    let factor: f32 = value.parse().ok()?;
    (1.0..=100.0).contains(&factor).then_some(Snapshot {
        enable: true,
        factor,
    })
}

fn source(value: &str) -> Option<Option<Source>> {
    if value == "none" {
        return Some(None);
    }
    let (kind, id) = value.split_once(' ')?;
    name::id(id).ok()?;
    match kind {
        "snapshot" => Some(Some(Source::Snapshot(id.into()))),
        "volume" => Some(Some(Source::Volume(id.into()))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    fn id() -> impl Strategy<Value = String> {
        "[0-9a-f]{32}"
    }

    fn durabilities() -> impl Strategy<Value = Durability> {
        prop_oneof![
            Just("none".to_owned()),
            (1..10).prop_map(|n| format!("replicate {n}")),
            (1..20, 1..10).prop_map(|(n, m)| format!("disperse {n} {m}")),
            (1..10).prop_map(|n| format!("replicate {n} (disperse 4 2)")),
            (1..10).prop_map(|n| format!("disperse 2 1 (replicate {n})")),
            Just("none (replicate 3, disperse 4 2)".to_owned()),
        ]
        .prop_map(|words| durability(&words).expect("good words"))
    }

    prop_compose! {
        fn records()(
            id in id(),
            cluster in id(),
            size in 1..=LARGEST,
            gid in 0..=i64::from(i32::MAX),
            durability in durabilities(),
            options in prop::collection::vec("\\PC{0,20}", 0..5),
            factor in prop::option::of(1.0f32..=100.0),
            source in prop_oneof![
                Just(None),
                self::id().prop_map(|id| Some(Source::Snapshot(id))),
                self::id().prop_map(|id| Some(Source::Volume(id))),
            ],
        ) -> Record {
            let snapshot = Snapshot { enable: factor.is_some(), factor: factor.unwrap_or(1.0) };
            Record { id, cluster, size, gid, durability, options, snapshot, source }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again_among_foreign_options(record in records()) {
            let mut options: BTreeMap<String, String> = record.encode().into_iter().collect();
            options.insert("nfs.disable".into(), "on".into());
            options.insert("user.smb".into(), "x".into());
            prop_assert_eq!(Record::decode(&options), Ok(Some(record)));
        }

        #[test]
        fn glusterd_may_be_given_every_option(record in records()) {
            for (key, value) in record.encode() {
                prop_assert_eq!(name::option(&key, &value), Ok(()));
            }
        }

        #[test]
        fn any_other_value_is_an_error_that_names_its_option(
            record in records(), at in 0usize..8, value in "\\PC{0,200}",
        ) {
            let mut encoded = record.encode();
            let before = std::mem::replace(&mut encoded[at].1, value.clone());
            let name = encoded[at].0.clone();
            match Record::decode(&encoded.into_iter().collect()) {
                // It may happen to be a good value.
                Ok(read) => prop_assert!(read.is_some()),
                Err(error) => {
                    prop_assert_eq!(format!("{PREFIX}{}", error.option), name);
                    prop_assert_ne!(value, before);
                }
            }
        }
    }

    #[test]
    fn a_volume_without_our_options_is_not_ours() {
        let foreign = [("nfs.disable", "on"), ("user.loodsx", "y"), ("zzz.z", "1")];
        let foreign = foreign.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(Record::decode(&foreign.into()), Ok(None));
        assert_eq!(Record::decode(&BTreeMap::new()), Ok(None));
    }

    #[test]
    fn people_can_read_it() {
        let record = Record {
            id: "a".repeat(32),
            cluster: "b".repeat(32),
            size: 2,
            gid: 2000,
            durability: durability("replicate 2").expect("good words"),
            options: vec!["user.heketi.arbiter true".into()],
            snapshot: Snapshot {
                enable: true,
                factor: 1.5,
            },
            source: None,
        };
        let shown: Vec<String> = record
            .encode()
            .into_iter()
            .skip(2)
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        assert_eq!(
            shown,
            [
                "user.loods.size=2Gi",
                "user.loods.gid=2000",
                "user.loods.durability=replicate 2",
                "user.loods.snapshot=1.5",
                "user.loods.options=[\"user.heketi.arbiter true\"]",
                "user.loods.source=none",
            ]
        );
    }

    #[test]
    fn half_a_record_is_an_error_that_says_what_is_missing() {
        let half = [(format!("{PREFIX}id"), "a".repeat(32))];
        let error = Record::decode(&half.into()).expect_err("no cluster");
        assert_eq!(error.option, "cluster");
    }
}
