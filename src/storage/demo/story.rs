//! The story: a volume is made, shared, loses a brick, heals, and goes.

use tokio::time::Instant;

use super::scene::{KEY, STORAGE, Scene, URL, WEB, until};
use crate::storage::heketi::client::{Credentials, Heketi, Limits, Trust};
use crate::storage::heketi::wire::{Durability, Snapshot, VolumeCreate, VolumeInfo};

/// Where the volume is mounted on the web hosts.
const MOUNT: &str = "/mnt/website-uploads";
/// The article's claim, as the controller names its volume.
const NAME: &str = "pvc-2f7c1c7e-9a54-4d8e-8b1e-5f0f2d9f7a10";

pub(super) async fn tell(scene: &mut Scene) {
    // Each step needs the one before.
    let _ = try_tell(scene).await;
}

async fn try_tell(scene: &mut Scene) -> Option<()> {
    let heketi = begin(scene).await?;
    let volume = make(scene, &heketi).await?;
    share(scene, &volume).await?;
    lose_a_brick(scene, &volume).await?;
    heal(scene, &volume).await?;
    remove(scene, &heketi, &volume).await
}

async fn begin(scene: &mut Scene) -> Option<Heketi> {
    scene
        .step("Three storage hosts, each with glusterd and an agent; a manager on gfs1")
        .await;
    scene.page.note(
        "A host's device is a directory: the manager makes bricks in it as files with XFS. \
         Heketi's topology file says which:",
    );
    scene.page.lines(&scene.topology());
    let start = Instant::now();
    let outcome = match scene.start() {
        Ok(()) => connect(scene).await,
        Err(why) => Err(why),
    };
    scene.result(outcome, "gfs1, gfs2 and gfs3 are one cluster", start)
}

/// The client that the controller uses, on a manager that knows its three hosts.
async fn connect(scene: &Scene) -> Result<Heketi, String> {
    let client = Credentials::new("admin", KEY.as_bytes()).and_then(|credentials| {
        Heketi::new(URL, Some(credentials), &Trust::Host, Limits::default())
    });
    let heketi = client.map_err(|error| error.to_string())?;
    until(async || {
        let nodes = heketi.nodes(&[]).await.map_err(|error| error.to_string())?;
        let ready = nodes.iter().filter(|node| !node.devices.is_empty()).count();
        match ready == STORAGE.len() {
            true => Ok(()),
            false => Err(format!(
                "the manager has {ready} of {} devices; its log is {}",
                STORAGE.len(),
                scene.dir.join("manager.log").display()
            )),
        }
    })
    .await?;
    Ok(heketi)
}

async fn make(scene: &mut Scene, heketi: &Heketi) -> Option<VolumeInfo> {
    scene
        .step("A claim: 2 GiB, volumetype replicate:2, by Heketi's REST API")
        .await;
    let wanted = VolumeCreate {
        size: 2,
        name: NAME.into(),
        durability: Durability::replicate(2),
        gid: 2000,
        snapshot: Snapshot {
            enable: true,
            factor: 1.0,
        },
        ..VolumeCreate::default()
    };
    let body = serde_json::to_string(&wanted).unwrap_or_default();
    scene
        .page
        .command("controller:", &format!("POST {URL}/volumes"));
    let broken = [",\"durability\"", ",\"gid\""];
    let body = broken.iter().fold(body, |body, key| {
        body.replace(key, &format!(",\n {}", &key[1..]))
    });
    scene.page.lines(&body);
    let start = Instant::now();
    let made = heketi.ensure_volume(&wanted).await;
    let outcome = made.map_err(|error| error.to_string());
    let volume = scene.result(outcome, "made and started", start)?;
    scene
        .page
        .command("$", &format!("heketi-cli volume info {}", volume.id));
    scene.page.lines(&as_heketi_cli(&volume));
    Some(volume)
}

/// What `heketi-cli volume info` prints of a volume.
fn as_heketi_cli(volume: &VolumeInfo) -> String {
    let mount = &volume.mount.glusterfs;
    let options = mount.options.iter();
    let options: Vec<String> = options
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let lines = [
        ("Name", volume.name.clone()),
        ("Size", volume.size.to_string()),
        ("Volume Id", volume.id.clone()),
        ("Cluster Id", volume.cluster.clone()),
        ("Mount", mount.device.clone()),
        ("Mount Options", options.join(",")),
        ("Block", "false".into()),
        ("Free Size", "0".into()),
        ("Reserved Size", "0".into()),
        ("Block Hosting Restriction", "(none)".into()),
        ("Block Volumes", "[]".into()),
        ("Durability Type", volume.durability.kind.clone()),
        ("Distribute Count", "1".into()),
        (
            "Replica Count",
            volume.durability.replicate.replica.to_string(),
        ),
        ("Snapshot Factor", format!("{:.2}", volume.snapshot.factor)),
    ];
    let lines = lines.map(|(key, value)| format!("{key}: {value}\n"));
    lines.concat()
}

async fn share(scene: &mut Scene, volume: &VolumeInfo) -> Option<()> {
    scene
        .step("Two web servers mount it, and share a file")
        .await;
    let start = Instant::now();
    let outcome = try_share(scene, volume).await;
    scene.result(
        outcome,
        "both see the file, and both bricks hold the same octets",
        start,
    )
}

async fn try_share(scene: &Scene, volume: &VolumeInfo) -> Result<(), String> {
    let mount = &volume.mount.glusterfs;
    let backups = mount.hosts.join(":");
    for (host, _) in WEB {
        let script = format!(
            "mkdir -p {MOUNT} && mount -t glusterfs -o backup-volfile-servers={backups} {} {MOUNT}",
            mount.device
        );
        scene.on(host, &script).await?;
    }
    let [(first, _), (second, _)] = WEB;
    let write = format!("echo 'hello from {first}' > {MOUNT}/upload.txt");
    scene.on(first, &write).await?;
    let read = scene.on(second, &format!("cat {MOUNT}/upload.txt")).await?;
    scene.page.lines(&read);
    if read.trim() != format!("hello from {first}") {
        return Err(format!("{second} read: {read}"));
    }
    let sums = sums(scene, volume, "upload.txt").await?;
    match sums.as_slice() {
        [one, other] if one == other => Ok(()),
        sums => Err(format!("the bricks hold {sums:?}")),
    }
}

/// The MD5 of a file on each brick, shown.
async fn sums(scene: &Scene, volume: &VolumeInfo, file: &str) -> Result<Vec<String>, String> {
    let mut sums = Vec::new();
    for (host, path) in bricks(scene, volume).await? {
        let sum = scene.on(&host, &format!("md5sum {path}/{file}")).await?;
        scene.page.lines(&sum);
        sums.push(sum.split_whitespace().next().unwrap_or_default().into());
    }
    Ok(sums)
}

/// Host and directory of each brick, as glusterd has them.
async fn bricks(scene: &Scene, volume: &VolumeInfo) -> Result<Vec<(String, String)>, String> {
    let info = format!("gluster volume info {}", volume.name);
    let info = scene.inside("gfs1", &info).await?;
    let lines = info.lines().filter_map(|line| {
        let (key, place) = line.split_once(": ")?;
        let (address, path) = place.split_once(':')?;
        let number = address.rsplit('.').next()?.parse::<u8>().ok()?;
        let host = STORAGE.iter().find(|(_, own)| *own == number)?.0;
        key.strip_prefix("Brick")
            .map(|_| (host.into(), path.into()))
    });
    Ok(lines.collect())
}

async fn lose_a_brick(scene: &mut Scene, volume: &VolumeInfo) -> Option<()> {
    scene.step("A brick dies; writing goes on").await;
    let start = Instant::now();
    let outcome = try_lose(scene, volume).await;
    scene.result(outcome, "written, with one brick of two", start)
}

async fn try_lose(scene: &Scene, volume: &VolumeInfo) -> Result<(), String> {
    let bricks = bricks(scene, volume).await?;
    let (host, _) = bricks.first().ok_or("the volume has no bricks")?;
    // With multiplexing one process serves all bricks of a host.
    scene.on(host, "pkill -9 -x glusterfsd").await?;
    let [(first, _), _] = WEB;
    let write = format!("echo 'written meanwhile' > {MOUNT}/meanwhile.txt");
    scene.on(first, &write).await?;
    let (host, _) = bricks.last().ok_or("the volume has no bricks")?;
    until(async || {
        let heal = format!("gluster volume heal {} info summary", volume.name);
        let heal = scene.inside(host, &heal).await?;
        match pending(&heal) {
            0 => Err("nothing waits to be healed".into()),
            _ => Ok(()),
        }
    })
    .await
}

/// Entries in heal pending, of all bricks.
fn pending(summary: &str) -> u64 {
    let counts = summary
        .lines()
        .filter_map(|line| line.strip_prefix("Number of entries in heal pending: "));
    counts
        .filter_map(|count| count.trim().parse::<u64>().ok())
        .sum()
}

async fn heal(scene: &mut Scene, volume: &VolumeInfo) -> Option<()> {
    scene.step("The brick is back, and heals by itself").await;
    let start = Instant::now();
    let outcome = try_heal(scene, volume).await;
    scene.result(outcome, "healed: both bricks hold the same again", start)
}

async fn try_heal(scene: &Scene, volume: &VolumeInfo) -> Result<(), String> {
    let start = format!("gluster --mode=script volume start {} force", volume.name);
    scene.on("gfs1", &start).await?;
    until(async || {
        let mut found = Vec::new();
        for (host, path) in bricks(scene, volume).await? {
            let sum = format!("md5sum < {path}/meanwhile.txt");
            found.push(scene.inside(&host, &sum).await?);
        }
        match found.as_slice() {
            [one, other] if one == other => Ok(()),
            found => Err(format!("the bricks hold {found:?}")),
        }
    })
    .await?;
    sums(scene, volume, "meanwhile.txt").await.map(drop)
}

async fn remove(scene: &mut Scene, heketi: &Heketi, volume: &VolumeInfo) -> Option<()> {
    scene.step("The claim is deleted: nothing is left").await;
    let start = Instant::now();
    let outcome = try_remove(scene, heketi, volume).await;
    scene.result(outcome, "no volume, no brick, no loop device", start)
}

async fn try_remove(scene: &Scene, heketi: &Heketi, volume: &VolumeInfo) -> Result<(), String> {
    for (host, _) in WEB {
        scene.on(host, &format!("umount {MOUNT}")).await?;
    }
    scene.page.command(
        "controller:",
        &format!("DELETE {URL}/volumes/{}", volume.id),
    );
    heketi
        .delete_volume(&volume.id)
        .await
        .map_err(|error| error.to_string())?;
    let volumes = scene.inside("gfs1", "gluster volume list 2>&1").await?;
    if !volumes.contains("No volumes") {
        return Err(format!("glusterd still has: {volumes}"));
    }
    let left: Vec<String> = STORAGE
        .iter()
        .filter_map(|(name, _)| std::fs::read_dir(scene.device(name)).ok())
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with("brick_"))
        .collect();
    if !left.is_empty() {
        return Err(format!("left on the devices: {left:?}"));
    }
    let loops = scene.inside("gfs1", "losetup --list --noheadings --output BACK-FILE");
    let loops = loops.await?;
    match loops.contains(&*scene.dir.to_string_lossy()) {
        true => Err(format!("loop devices are left: {loops}")),
        false => Ok(()),
    }
}

/// For a reader who wants to look around.
pub(super) fn epilogue(scene: &Scene) {
    scene.page.note("");
    scene.page.note(&format!(
        "The hosts stay up until you press Ctrl-C; their files and logs are below {}.",
        scene.dir.display()
    ));
}
