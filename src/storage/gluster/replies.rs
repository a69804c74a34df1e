//! What glusterd tells of volumes, peers, bricks and heals.

use std::collections::BTreeMap;

use super::error::{self, GlusterError};
use super::name;
use super::xml::Element;

/// One volume as `volume info` tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// glusterd's own id, a UUID.
    pub uuid: String,
    /// Whether it serves.
    pub state: VolumeState,
    /// Copies of each file; 1: no replication.
    pub replica: u32,
    /// Of these, bricks that hold names alone.
    pub arbiter: u32,
    /// Bricks of data and bricks that may be lost; (0, 0): no erasure coding.
    pub disperse: (u32, u32),
    /// Its bricks, in Gluster's order.
    pub bricks: Vec<VolumeBrick>,
    /// Options that differ from glusterd's defaults, and all `user.*`.
    pub options: BTreeMap<String, String>,
}

/// What a volume does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VolumeState {
    /// Made and never started, or a state that is not known.
    #[default]
    Created,
    /// Its bricks are to run.
    Started,
    /// It was stopped.
    Stopped,
}

/// One brick of a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VolumeBrick {
    /// Its host, as glusterd calls it.
    pub host: String,
    /// Its directory.
    pub path: String,
    /// Holds names alone.
    pub arbiter: bool,
}

/// One member of the trusted pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// Its UUID.
    pub uuid: String,
    /// Its names; `localhost` alone for the one that was asked.
    pub names: Vec<String>,
    /// Whether its glusterd is connected with the one that was asked.
    pub connected: bool,
    /// `Peer in Cluster` when all is well; the one that was asked has none.
    pub state: String,
}

impl Peer {
    /// Whether bricks may be made on it now.
    pub fn is_ready(&self) -> bool {
        self.connected && (self.state.is_empty() || self.state == "Peer in Cluster")
    }
}

/// One brick as `volume status … detail` tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrickStatus {
    /// Its host.
    pub host: String,
    /// Its directory.
    pub path: String,
    /// Whether its process runs.
    pub online: bool,
    /// The id of its process.
    pub pid: Option<u32>,
    /// Of its file system, in octets.
    pub size: u64,
    /// What is free of it, in octets.
    pub free: u64,
}

/// One brick as `volume heal … info summary` tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrickHeal {
    /// Its host.
    pub host: String,
    /// Its directory.
    pub path: String,
    /// Whether the brick answered: without it there are no numbers.
    pub connected: bool,
    /// Entries that others must get from it; `None`: not known.
    pub pending: Option<u64>,
    /// Entries that differ without a side to believe; `None`: not known.
    pub split_brain: Option<u64>,
}

/// A command that only does something: what it warned of, mostly nothing.
pub fn done(text: &str) -> Result<Option<String>, GlusterError> {
    let root = error::success(text)?;
    let warned = root.word("opErrstr");
    Ok((!warned.is_empty()).then(|| warned.to_owned()))
}

/// `volume info`: all volumes, or the one that was asked for.
pub fn info(text: &str) -> Result<Vec<Volume>, GlusterError> {
    let root = error::success(text)?;
    Ok(below(&root, &["volInfo", "volumes"], "volume")
        .map(volume)
        .collect())
}

/// `pool list`, the one that was asked included.
pub fn pool(text: &str) -> Result<Vec<Peer>, GlusterError> {
    let root = error::success(text)?;
    Ok(below(&root, &["peerStatus"], "peer").map(peer).collect())
}

/// `volume status NAME detail`. Bricks of hosts that are not connected are absent.
pub fn status(text: &str) -> Result<Vec<BrickStatus>, GlusterError> {
    let root = error::success(text)?;
    let volumes = below(&root, &["volStatus", "volumes"], "volume");
    let nodes = volumes.flat_map(|volume| volume.all("node"));
    // Self-heal and quota daemons are nodes too; a brick has a path.
    Ok(nodes
        .filter(|node| node.word("path").starts_with('/'))
        .map(|node| BrickStatus {
            host: node.word("hostname").to_owned(),
            path: node.word("path").to_owned(),
            online: node.word("status") == "1",
            pid: node.number("pid"),
            size: node.number("sizeTotal").unwrap_or(0),
            free: node.number("sizeFree").unwrap_or(0),
        })
        .collect())
}

/// `volume heal NAME info summary`.
pub fn heal(text: &str) -> Result<Vec<BrickHeal>, GlusterError> {
    let root = error::success(text)?;
    Ok(below(&root, &["healInfo", "bricks"], "brick")
        .map(|brick| {
            let (host, path) = place(brick.word("name"));
            BrickHeal {
                host,
                path,
                connected: brick.word("status") == "Connected",
                pending: brick.number("numberOfEntriesInHealPending"),
                split_brain: brick.number("numberOfEntriesInSplitBrain"),
            }
        })
        .collect())
}

fn below<'a>(
    root: &'a Element,
    way: &[&str],
    name: &'a str,
) -> impl Iterator<Item = &'a Element> + use<'a> {
    let end = way
        .iter()
        .try_fold(root, |element, step| element.child(step));
    end.into_iter().flat_map(move |element| element.all(name))
}

fn volume(element: &Element) -> Volume {
    let number = |name: &str| element.number::<u32>(name).unwrap_or(0);
    let (all, redundancy) = (number("disperseCount"), number("redundancyCount"));
    Volume {
        name: element.word("name").to_owned(),
        uuid: element.word("id").to_owned(),
        state: match element.word("statusStr") {
            "Started" => VolumeState::Started,
            "Stopped" => VolumeState::Stopped,
            _ => VolumeState::Created,
        },
        replica: number("replicaCount").max(1),
        arbiter: number("arbiterCount"),
        disperse: (all.saturating_sub(redundancy), redundancy),
        bricks: below(element, &["bricks"], "brick")
            .map(|brick| {
                let (host, path) = place(brick.word("name"));
                VolumeBrick {
                    host,
                    path,
                    arbiter: brick.word("isArbiter") == "1",
                }
            })
            .collect(),
        options: below(element, &["options"], "option")
            .map(|option| {
                (
                    option.word("name").to_owned(),
                    option.word("value").to_owned(),
                )
            })
            .collect(),
    }
}

fn peer(element: &Element) -> Peer {
    let first = element.word("hostname");
    let more = below(element, &["hostnames"], "hostname").map(|name| name.text.trim());
    let mut names: Vec<String> = Vec::new();
    for name in std::iter::once(first).chain(more) {
        if !name.is_empty() && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    Peer {
        uuid: element.word("uuid").to_owned(),
        names,
        connected: element.word("connected") == "1",
        state: element.word("stateStr").to_owned(),
    }
}

/// Host and path of `host:/path`; all of it is the host when it is not that.
fn place(brick: &str) -> (String, String) {
    let (host, path) = name::split_brick(brick).unwrap_or((brick, ""));
    (host.to_owned(), path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::gluster::Kind;

    // Recorded from three glusterds of GlusterFS 10.3.
    const INFO: &str = include_str!("recorded/info.xml");
    const POOL: &str = include_str!("recorded/pool.xml");
    const STATUS: &str = include_str!("recorded/status.xml");
    const STATUS_DEAD: &str = include_str!("recorded/status_dead.xml");
    const HEAL: &str = include_str!("recorded/heal.xml");
    const HEAL_FAILED: &str = include_str!("recorded/heal_failed.xml");

    #[test]
    fn volumes_with_their_layout_bricks_and_options() {
        let volumes = info(INFO).expect("recorded");
        let layouts: Vec<_> = volumes
            .iter()
            .map(|volume| {
                (
                    volume.name.as_str(),
                    volume.state,
                    volume.replica,
                    volume.arbiter,
                    volume.disperse,
                    volume.bricks.len(),
                )
            })
            .collect();
        assert_eq!(
            layouts,
            [
                ("v1", VolumeState::Started, 2, 0, (0, 0), 2),
                ("v3", VolumeState::Created, 3, 1, (0, 0), 3),
                ("v4", VolumeState::Created, 1, 0, (2, 1), 3),
                ("v5", VolumeState::Created, 1, 0, (0, 0), 1),
            ]
        );
        let first = &volumes[0];
        assert_eq!(first.uuid, "6b453b1e-7a74-4317-90b2-f6feb4ad0a8a");
        assert_eq!(first.bricks[1].host, "198.19.0.2");
        assert_eq!(first.bricks[1].path, "/srv/gluster/b1/brick");
        assert_eq!(
            first.options.get("user.loods.record").map(String::as_str),
            Some("{\"a\":\"b c <&> é\"}")
        );
        let arbiters: Vec<bool> = volumes[1]
            .bricks
            .iter()
            .map(|brick| brick.arbiter)
            .collect();
        assert_eq!(arbiters, [false, false, true]);
    }

    #[test]
    fn no_volumes_is_an_empty_list_and_an_unknown_one_an_error() {
        let none = "<cliOutput><opRet>0</opRet><opErrno>0</opErrno><opErrstr/><volInfo><volumes><count>0</count></volumes></volInfo></cliOutput>";
        assert_eq!(info(none), Ok(Vec::new()));
        let unknown = "<cliOutput><opRet>-1</opRet><opErrno>30806</opErrno><opErrstr>Volume does not exist</opErrstr><volInfo><volumes><count>0</count></volumes></volInfo></cliOutput>";
        assert_eq!(info(unknown).expect_err("unknown").kind, Kind::NotFound);
    }

    #[test]
    fn peers_the_dead_one_and_the_one_that_was_asked() {
        let peers = pool(POOL).expect("recorded");
        let seen: Vec<_> = peers
            .iter()
            .map(|peer| (peer.names.join(","), peer.connected, peer.is_ready()))
            .collect();
        assert_eq!(
            seen,
            [
                ("198.19.0.2".into(), true, true),
                ("198.19.0.3".into(), false, false),
                ("localhost".into(), true, true),
            ]
        );
    }

    #[test]
    fn bricks_that_run_and_bricks_that_died() {
        let alive = status(STATUS).expect("recorded");
        assert_eq!(alive.len(), 2);
        assert!(alive.iter().all(|brick| brick.online));
        assert_eq!(alive[0].pid, Some(28115));
        assert_eq!(alive[0].size, 270_553_174_016);
        let dead = status(STATUS_DEAD).expect("recorded");
        assert_eq!(dead.len(), 3);
        assert!(
            dead.iter()
                .all(|brick| !brick.online && brick.pid.is_none())
        );
    }

    #[test]
    fn heals_and_what_is_not_known_of_them() {
        let bricks = heal(HEAL).expect("recorded");
        assert_eq!(bricks.len(), 2);
        assert_eq!(bricks[0].pending, Some(0));
        assert!(bricks[0].connected);
        assert_eq!(heal(HEAL_FAILED).expect_err("recorded").kind, Kind::Other);

        let cut = HEAL.replacen("Connected", "Transport endpoint is not connected", 1);
        let cut = cut.replacen(
            ">0</numberOfEntriesInHealPending>",
            ">-</numberOfEntriesInHealPending>",
            1,
        );
        let bricks = heal(&cut).expect("as 10.3 writes it");
        assert_eq!((bricks[0].connected, bricks[0].pending), (false, None));
        assert_eq!((bricks[1].connected, bricks[1].pending), (true, Some(0)));
    }

    #[test]
    fn a_warning_of_a_command_that_worked_is_kept() {
        let told = "<cliOutput><opRet>0</opRet><opErrno>0</opErrno><opErrstr>/b is already part of a volume</opErrstr></cliOutput>";
        assert_eq!(
            done(told),
            Ok(Some("/b is already part of a volume".into()))
        );
    }
}
