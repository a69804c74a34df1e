//! What a volume that somebody else made would be with us; pure.
//!
//! A Heketi kept sizes, groups and ids in a database of its own. Where that is
//! lost, glusterd still has the volumes: layout, bricks and options. The rest
//! comes from whoever knows it, as from PersistentVolumes, or from what the
//! bricks' file systems tell.
//!
//! Such bricks stay where they are. They cannot grow or be copied, since no
//! agent made them, and an agent removes nothing that it did not make; one that
//! is replaced becomes one of ours.

use std::collections::BTreeSet;

use crate::storage::gluster::{BrickStatus, Record, Volume, VolumeState, name};
use crate::storage::heketi::loods::Adopt;
use crate::storage::heketi::wire::{Disperse, Durability, Replicate, Snapshot};

/// Where a Heketi keeps its database.
const DATABASE: &str = "heketidbstorage";
/// What Heketi calls a volume that nobody named.
const UNNAMED: &str = "vol_";
/// Set by a Heketi from version 9 on.
const HEKETI_ID: &str = "user.heketi.id";
const GIB: u64 = 1 << 30;

/// Options that glusterd or we set, or that a new volume cannot be told.
fn is_asked_for(option: &str) -> bool {
    const OTHERS: [&str; 4] = [
        "nfs.disable",
        "transport.address-family",
        "storage.fips-mode-rchecksum",
        HEKETI_ID,
    ];
    const KINDS: [&str; 3] = ["auth.", "features.", "user.loods."];
    !OTHERS.contains(&option) && !KINDS.iter().any(|kind| option.starts_with(kind))
}

/// The record that it would get, or why it cannot be ours. `hosts` are the
/// addresses that the cluster's nodes have in glusterd, and `status` is what
/// glusterd tells of its bricks.
pub(super) fn record(
    volume: &Volume,
    cluster: &str,
    hosts: &BTreeSet<String>,
    status: &[BrickStatus],
    wish: &Adopt,
) -> Result<Record, String> {
    if volume.name == DATABASE {
        return Err("it holds Heketi's own database, and nobody's claim".into());
    }
    name::volume(&volume.name).map_err(|why| why.to_string())?;
    if volume.state != VolumeState::Started {
        return Err(format!(
            "it does not run: gluster volume start {}",
            volume.name
        ));
    }
    for brick in &volume.bricks {
        let at = format!("{}:{}", brick.host, brick.path);
        name::brick(&volume.name, &at).map_err(|why| why.to_string())?;
        if !hosts.contains(&brick.host) {
            return Err(format!(
                "brick {at} is on a host that is no node here: run loods storage agent there, and add it to cluster {cluster} under that very name (hostnames.storage)"
            ));
        }
    }
    let layout = Layout::of(volume)?;
    let size = match wish.size {
        Some(size) => size,
        None => layout.gib(volume, status)?,
    };
    let mut options: Vec<String> = volume
        .options
        .iter()
        .filter(|(option, _)| is_asked_for(option))
        .map(|(option, value)| format!("{option} {value}"))
        .collect();
    if layout.arbiter && !options.iter().any(|option| option.starts_with(ARBITER)) {
        options.push(format!("{ARBITER} true"));
    }
    let record = Record {
        id: id(volume, wish)?,
        cluster: cluster.into(),
        size,
        gid: wish.gid.unwrap_or(0),
        durability: layout.durability,
        options,
        snapshot: Snapshot {
            enable: false,
            factor: 1.0,
        },
        source: None,
    };
    // What cannot be read again must not be written.
    let told = record.encode().into_iter().collect();
    match Record::decode(&told) {
        Ok(Some(same)) if same == record => Ok(record),
        Ok(_) => Err("its options cannot be kept in a record".into()),
        Err(why) => Err(why.to_string()),
    }
}

const ARBITER: &str = "user.heketi.arbiter";

/// The one that is asked for, the one that Heketi gave, or one that is always
/// the same: glusterd's own.
fn id(volume: &Volume, wish: &Adopt) -> Result<String, String> {
    if let Some(asked) = &wish.id {
        name::id(asked).map_err(|why| why.to_string())?;
        return Ok(asked.clone());
    }
    let own = volume.uuid.replace('-', "");
    let told = volume.options.get(HEKETI_ID).map(String::as_str);
    [told, volume.name.strip_prefix(UNNAMED), Some(&*own)]
        .into_iter()
        .flatten()
        .find(|id| name::id(id).is_ok())
        .map(str::to_owned)
        .ok_or_else(|| "nothing tells its id: say --id".into())
}

/// How its bricks make a volume.
struct Layout {
    durability: Durability,
    arbiter: bool,
    /// Bricks of a set.
    width: usize,
    /// Bricks of a set that a file is spread over.
    parts: u64,
}

impl Layout {
    fn of(volume: &Volume) -> Result<Self, String> {
        let (data, redundancy) = volume.disperse;
        let replica = volume.replica;
        let layout = if data > 0 {
            let durability = Durability {
                kind: "disperse".into(),
                disperse: Disperse {
                    data: data.into(),
                    redundancy: redundancy.into(),
                },
                ..Durability::default()
            };
            (durability, data + redundancy, data)
        } else if replica > 1 {
            let durability = Durability {
                kind: "replicate".into(),
                replicate: Replicate {
                    replica: replica.into(),
                },
                ..Durability::default()
            };
            (durability, replica, 1)
        } else {
            let kind = "none".to_owned();
            let durability = Durability {
                kind,
                ..Durability::default()
            };
            (durability, 1, 1)
        };
        let (durability, width, parts) = layout;
        let width = usize::try_from(width).unwrap_or(usize::MAX);
        if volume.bricks.is_empty() || !volume.bricks.len().is_multiple_of(width) {
            return Err(format!(
                "{} bricks are no sets of {width}: gluster volume info {}",
                volume.bricks.len(),
                volume.name
            ));
        }
        Ok(Self {
            durability,
            arbiter: volume.arbiter > 0,
            width,
            parts: parts.into(),
        })
    }

    /// What fits into it, in GiB, by the file systems of its bricks. A file
    /// system keeps a little for itself.
    fn gib(&self, volume: &Volume, status: &[BrickStatus]) -> Result<i64, String> {
        let size = |at: &crate::storage::gluster::VolumeBrick| {
            let mut told = status.iter();
            let found = told.find(|it| (&it.host, &it.path) == (&at.host, &at.path));
            found.map(|it| it.size).filter(|size| *size > 0)
        };
        let mut all: u64 = 0;
        for set in volume.bricks.chunks(self.width) {
            let content = set.iter().filter(|brick| !brick.arbiter);
            let least = content.filter_map(size).min().ok_or_else(|| {
                format!(
                    "nothing tells how large it is: no brick serves on {}; say --size",
                    set.iter()
                        .map(|brick| &*brick.host)
                        .collect::<Vec<_>>()
                        .join(", ")
                )
            })?;
            all = all.saturating_add(least.saturating_mul(self.parts));
        }
        i64::try_from(all.div_ceil(GIB)).map_err(|_| "it is too large".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::gluster::VolumeBrick;

    fn volume(bricks: usize) -> Volume {
        Volume {
            name: "vol_0123456789abcdef0123456789abcdef".into(),
            uuid: "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee".into(),
            state: VolumeState::Started,
            replica: 2,
            bricks: (0..bricks)
                .map(|n| VolumeBrick {
                    host: format!("h{}", n % 3),
                    path: format!("/b{n}/brick"),
                    arbiter: false,
                })
                .collect(),
            ..Volume::default()
        }
    }

    fn status(volume: &Volume, octets: u64) -> Vec<BrickStatus> {
        let bricks = volume.bricks.iter();
        let told = |brick: &VolumeBrick| BrickStatus {
            host: brick.host.clone(),
            path: brick.path.clone(),
            online: true,
            size: octets,
            ..BrickStatus::default()
        };
        bricks.map(told).collect()
    }

    fn judge(volume: &Volume, octets: u64, wish: &Adopt) -> Result<Record, String> {
        let hosts = ["h0", "h1", "h2"].map(String::from).into();
        let cluster = "c".repeat(32);
        record(volume, &cluster, &hosts, &status(volume, octets), wish)
    }

    /// A volume of two GiB has less on its file systems.
    const TWO: u64 = 2 * GIB - 10 * (1 << 20);

    #[test]
    fn layouts_are_what_heketi_would_say() {
        let mut sets = volume(4);
        let mut arbiter = volume(3);
        (arbiter.replica, arbiter.arbiter) = (3, 1);
        arbiter.bricks[2].arbiter = true;
        let mut plain = volume(2);
        plain.replica = 1;
        let mut coded = volume(3);
        (coded.replica, coded.disperse) = (1, (2, 1));
        let wish = Adopt::default();
        for (volume, words, gib) in [
            (&volume(2), "replicate 2", 2),
            (&sets, "replicate 2", 4),
            (&arbiter, "replicate 3", 2),
            (&plain, "none", 4),
            (&coded, "disperse 2 1", 4),
        ] {
            let record = judge(volume, TWO, &wish).expect("ours");
            let told = record.encode();
            let durability = told.iter().find(|(key, _)| key.ends_with("durability"));
            assert_eq!(durability.expect("it is told").1, words);
            assert_eq!(record.size, gib, "{words}");
            let arbiter = record.options.iter().any(|it| it.starts_with(ARBITER));
            assert_eq!(arbiter, volume.arbiter == 1);
        }
        // The arbiter's own file system is small.
        let hosts = ["h0", "h1", "h2"].map(String::from).into();
        let mut told = status(&arbiter, TWO);
        told[2].size = 1 << 20;
        let record = record(&arbiter, &"c".repeat(32), &hosts, &told, &wish);
        assert_eq!(record.expect("ours").size, 2);
        sets.bricks.pop();
        assert!(judge(&sets, TWO, &wish).is_err());
    }

    #[test]
    fn an_id_is_asked_for_or_heketis_or_glusterds() {
        let mut volume = volume(2);
        let by_name = volume.name.trim_start_matches("vol_").to_owned();
        let id = |volume: &Volume, wish: &Adopt| judge(volume, TWO, wish).map(|it| it.id);
        let none = Adopt::default();
        assert_eq!(id(&volume, &none), Ok(by_name));
        volume.name = "uploads".into();
        let own = "aaaaaaaabbbbccccddddeeeeeeeeeeee".to_owned();
        assert_eq!(id(&volume, &none), Ok(own));
        volume.options.insert(HEKETI_ID.into(), "5".repeat(32));
        assert_eq!(id(&volume, &none), Ok("5".repeat(32)));
        let asked = |id: &str| Adopt {
            id: Some(id.into()),
            ..Adopt::default()
        };
        assert_eq!(id(&volume, &asked(&"7".repeat(32))), Ok("7".repeat(32)));
        assert!(id(&volume, &asked("../etc")).is_err());
    }

    #[test]
    fn what_others_know_counts_more_than_the_file_systems() {
        let mut volume = volume(2);
        for (key, value) in [
            ("performance.cache-size", "64MB"),
            ("auth.allow", "*"),
            ("nfs.disable", "on"),
        ] {
            volume.options.insert(key.into(), value.into());
        }
        let wish = Adopt {
            size: Some(1),
            gid: Some(2003),
            ..Adopt::default()
        };
        let record = judge(&volume, TWO, &wish).expect("ours");
        assert_eq!((record.size, record.gid), (1, 2003));
        assert_eq!(record.options, ["performance.cache-size 64MB"]);
        for wrong in [0, -1, i64::MAX] {
            let wish = Adopt {
                size: Some(wrong),
                ..Adopt::default()
            };
            assert!(judge(&volume, TWO, &wish).is_err(), "{wrong}");
        }
    }

    #[test]
    fn refusals_name_the_mend() {
        let wish = Adopt::default();
        let mut stopped = volume(2);
        stopped.state = VolumeState::Stopped;
        let mut database = volume(2);
        database.name = DATABASE.into();
        let mut far = volume(2);
        far.bricks[1].host = "gfs9".into();
        let mut odd = volume(2);
        odd.name = "a b".into();
        for (volume, octets, words) in [
            (&stopped, TWO, "gluster volume start"),
            (&database, TWO, "Heketi's own database"),
            (
                &far,
                TWO,
                "gfs9:/b1/brick is on a host that is no node here",
            ),
            (&odd, TWO, "letters, digits"),
            (&self::volume(2), 0, "--size"),
        ] {
            let why = judge(volume, octets, &wish).expect_err(words);
            assert!(why.contains(words), "{why}");
        }
    }
}
