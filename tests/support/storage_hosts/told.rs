//! What `gluster --xml` prints, as far as it is read.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{Volume, World};

fn output(result: i64, words: &str, body: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n<cliOutput><opRet>{result}</opRet><opErrno>0</opErrno><opErrstr>{}</opErrstr>{body}</cliOutput>",
        escaped(words)
    )
}

pub(super) fn success(body: &str) -> String {
    output(0, "", body)
}

pub(super) fn failure(words: &str) -> String {
    output(-1, words, "")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

pub(super) fn info(volumes: &BTreeMap<String, Volume>) -> String {
    let mut text = String::from("<volInfo><volumes>");
    for (name, volume) in volumes {
        let (data, redundancy) = volume.disperse;
        let _ = write!(
            text,
            "<volume><name>{name}</name><id>0</id><statusStr>{}</statusStr><replicaCount>{}</replicaCount><arbiterCount>{}</arbiterCount><disperseCount>{}</disperseCount><redundancyCount>{redundancy}</redundancyCount><bricks>",
            volume.state,
            volume.replica,
            volume.arbiter,
            data + redundancy,
        );
        let width = volume.replica.max(1) as usize;
        for (place, (host, path)) in volume.bricks.iter().enumerate() {
            let last = u32::from(volume.arbiter > 0 && place % width + 1 == width);
            let _ = write!(
                text,
                "<brick uuid=\"0\">{host}:{path}<name>{host}:{path}</name><hostUuid>0</hostUuid><isArbiter>{last}</isArbiter></brick>"
            );
        }
        text.push_str("</bricks><options>");
        for (key, value) in &volume.options {
            let value = escaped(value);
            let _ = write!(
                text,
                "<option><name>{key}</name><value>{value}</value></option>"
            );
        }
        text.push_str("</options></volume>");
    }
    text + "</volumes><count>0</count></volInfo>"
}

pub(super) fn pool(world: &World, asked: &str) -> String {
    let pool = world.hosts[asked].pool;
    let (state, words) = match world.hosts[asked].half {
        true => (4, "Accepted peer request"),
        false => (3, "Peer in Cluster"),
    };
    let mut text = String::from("<peerStatus>");
    for (name, host) in world.hosts.iter().filter(|(_, host)| host.pool == pool) {
        let _ = if name == asked {
            write!(
                text,
                "<peer><uuid>{name}</uuid><hostname>localhost</hostname><connected>1</connected></peer>"
            )
        } else {
            let storage = &host.storage;
            write!(
                text,
                "<peer><uuid>{name}</uuid><hostname>{storage}</hostname><hostnames><hostname>{storage}</hostname></hostnames><connected>{}</connected><state>{state}</state><stateStr>{words}</stateStr></peer>",
                u32::from(!host.away)
            )
        };
    }
    text + "</peerStatus>"
}

pub(super) fn status(world: &World, volume: &Volume) -> String {
    let mut text = String::from("<volStatus><volumes><volume>");
    let size: BTreeMap<(String, String), u64> = world
        .bricks()
        .into_iter()
        .map(|(host, path, brick)| ((host, path), brick.record.size << 10))
        .collect();
    for place in &volume.bricks {
        let (host, path) = place;
        let here = world.hosts.values().find(|known| known.storage == *host);
        if here.is_none_or(|host| host.away) {
            continue;
        }
        let online = u32::from(!volume.dead.contains(place));
        // One that is not ours has 5 GiB.
        let size = size.get(place).copied().unwrap_or(5 << 30);
        let _ = write!(
            text,
            "<node><hostname>{host}</hostname><path>{path}</path><status>{online}</status><pid>7</pid><sizeTotal>{size}</sizeTotal><sizeFree>{}</sizeFree></node>",
            size / 2
        );
    }
    text + "</volume></volumes></volStatus>"
}

pub(super) fn heal(volume: &Volume) -> String {
    let mut text = String::from("<healInfo><bricks>");
    for (place, (host, path)) in volume.bricks.iter().enumerate() {
        let dead = volume.dead.contains(&(host.clone(), path.clone()));
        let _ = if dead {
            write!(
                text,
                "<brick hostUuid=\"0\"><name>{host}:{path}</name><status>Transport endpoint is not connected</status><totalNumberOfEntries>-</totalNumberOfEntries></brick>"
            )
        } else {
            let pending = volume.pending.get(host).copied().unwrap_or(0);
            let split = if place == 0 { volume.split_brain } else { 0 };
            write!(
                text,
                "<brick hostUuid=\"0\"><name>{host}:{path}</name><status>Connected</status><totalNumberOfEntries>{pending}</totalNumberOfEntries><numberOfEntriesInHealPending>{pending}</numberOfEntriesInHealPending><numberOfEntriesInSplitBrain>{split}</numberOfEntriesInSplitBrain></brick>"
            )
        };
    }
    text + "</bricks></healInfo>"
}
