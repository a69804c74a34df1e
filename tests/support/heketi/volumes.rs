//! Volumes of the stand-in: what is refused, and where bricks go.

use loods::storage::heketi::loods::VolumeFrom;
use loods::storage::heketi::wire::{
    BrickInfo, Durability, GlusterfsMount, Mount, Snapshot, VolumeCreate, VolumeInfo,
};

use super::model::{Change, GIB, Model, Volume};

/// Status and text.
pub(super) type Refusal = (u16, String);

fn refuse<T>(status: u16, text: impl Into<String>) -> Result<T, Refusal> {
    Err((status, text.into()))
}

/// In the order in which Heketi looks.
fn judge(create: &VolumeCreate) -> Result<(), Refusal> {
    if create.size == 0 {
        return refuse(400, "validation failed: size: cannot be blank.");
    }
    if create.size < 0 {
        return refuse(400, "validation failed: size: must be no less than 1.");
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !create.name.chars().all(plain) {
        return refuse(400, "validation failed: name: must be in a valid format.");
    }
    if create.gid < 0 {
        return refuse(400, "Bad group id less than zero");
    }
    let durability = &create.durability;
    match &*durability.kind {
        "" | "none" => {}
        "replicate" if durability.replicate.replica > 3 => {
            return refuse(400, "Invalid replica value");
        }
        "replicate" => {}
        "disperse" => {
            let (data, redundancy) = (durability.disperse.data, durability.disperse.redundancy);
            if !matches!((data, redundancy), (2, 1) | (4, 2) | (8, 3) | (8, 4)) {
                let text = format!("Invalid dispersion combination: {data}+{redundancy}");
                return refuse(400, text);
            }
        }
        _ => return refuse(400, "Unknown durability type"),
    }
    let factor = create.snapshot.factor;
    if create.snapshot.enable && !(1.0..=100.0).contains(&factor) {
        return refuse(400, "Invalid snapshot factor");
    }
    Ok(())
}

/// Bricks of one set, and by what the size is divided.
fn width(durability: &Durability) -> (usize, u64) {
    match &*durability.kind {
        "replicate" => (
            usize::try_from(durability.replicate.replica).expect("judged"),
            1,
        ),
        "disperse" => {
            let of = |number: i64| usize::try_from(number).expect("judged");
            let (data, redundancy) = (
                of(durability.disperse.data),
                of(durability.disperse.redundancy),
            );
            (data + redundancy, data as u64)
        }
        _ => (1, 1),
    }
}

impl Model {
    /// POST /volumes: where its end is told.
    pub(super) fn create(&mut self, from: VolumeFrom) -> Result<String, Refusal> {
        let mut create = from.create;
        judge(&create)?;
        if create.durability.kind == "replicate" && create.durability.replicate.replica == 0 {
            create.durability.replicate.replica = 2;
        }
        let asked = create.clusters.clone().unwrap_or_default();
        for id in &asked {
            if !self.clusters.contains_key(id) {
                return refuse(400, format!("Cluster id {id} not found"));
            }
        }
        self.has_room_for_one_more()?;
        let failed = |text: &str| (500, format!("Failed to allocate new volume: {text}"));
        let mut candidates = if asked.is_empty() {
            self.clusters.keys().cloned().collect()
        } else {
            asked
        };
        // A name is unique within a cluster, and no further.
        if !create.name.is_empty() {
            candidates.retain(|cluster| {
                let mut volumes = self.volumes.values().map(|volume| &volume.info);
                !volumes.any(|known| known.cluster == *cluster && known.name == create.name)
            });
            if candidates.is_empty() {
                return Err(failed(&format!(
                    "Volume name '{}' already in use",
                    create.name
                )));
            }
        }
        let id = self.id();
        for cluster in candidates {
            let Some(bricks) = self.place(&cluster, &id, create.size, &create.durability) else {
                continue;
            };
            let info = self.describe(&id, &cluster, &create, bricks);
            let volume = Volume {
                info,
                visible: false,
            };
            self.volumes.insert(id.clone(), volume);
            let known = &mut self
                .clusters
                .get_mut(&cluster)
                .expect("a candidate")
                .volumes;
            known.push(id.clone());
            known.sort();
            let end = Some(format!("/volumes/{id}"));
            return Ok(self.begin("create-volume", Change::Make(id), end));
        }
        Err(failed("No space"))
    }

    /// POST /volumes/{id}/expand.
    pub(super) fn expand(
        &mut self,
        id: &str,
        by: i64,
        from: Option<i64>,
    ) -> Result<String, Refusal> {
        if by == 0 {
            return refuse(400, "validation failed: expand_size: cannot be blank.");
        }
        if by < 0 {
            return refuse(
                400,
                "validation failed: expand_size: must be no less than 1.",
            );
        }
        let volume = self.seen(id)?;
        let (cluster, durability, size) = (
            volume.cluster.clone(),
            volume.durability.clone(),
            volume.size,
        );
        let growing = self
            .running()
            .any(|(_, operation)| operation.kind == "expand-volume");
        if self.loods && from.is_some_and(|from| growing || from != size) {
            return refuse(
                409,
                format!("Volume {id} has {size} GiB, or is being expanded"),
            );
        }
        self.has_room_for_one_more()?;
        let Some(bricks) = self.place(&cluster, id, by, &durability) else {
            return refuse(500, "No space");
        };
        let change = Change::Grow(id.into(), by, bricks);
        Ok(self.begin("expand-volume", change, Some(format!("/volumes/{id}"))))
    }

    /// DELETE /volumes/{id}.
    pub(super) fn delete(&mut self, id: &str) -> Result<String, Refusal> {
        self.seen(id)?;
        self.has_room_for_one_more()?;
        Ok(self.begin("delete-volume", Change::Remove(id.into()), None))
    }

    /// A volume that is not being made.
    pub(super) fn seen(&self, id: &str) -> Result<&VolumeInfo, Refusal> {
        match self.volumes.get(id).filter(|volume| volume.visible) {
            Some(volume) => Ok(&volume.info),
            None => refuse(404, "Id not found"),
        }
    }

    pub(super) fn has_room_for_one_more(&self) -> Result<(), Refusal> {
        if self.running().count() < self.in_flight {
            return Ok(());
        }
        refuse(429, "Server busy. Retry operation later.")
    }

    /// Bricks for so many GiB, each of a set on a node of its own, where most is
    /// free; in two sets, four and so on where one is too large.
    fn place(
        &mut self,
        cluster: &str,
        volume: &str,
        gib: i64,
        durability: &Durability,
    ) -> Option<Vec<BrickInfo>> {
        let (width, parts) = width(durability);
        let total = u64::try_from(gib).expect("judged") * GIB / parts;
        for sets in [1u64, 2, 4, 8] {
            if total / sets < GIB && sets > 1 {
                return None;
            }
            let mut taken: Vec<(String, usize)> = Vec::new();
            for _ in 0..sets {
                let mut nodes: Vec<(u64, &String, usize)> = Vec::new();
                for node in self
                    .nodes
                    .values()
                    .filter(|n| n.add.cluster == cluster && n.state == "online")
                {
                    let free = |at: usize| {
                        let here = taken
                            .iter()
                            .filter(|(id, device)| *id == node.id && *device == at);
                        node.devices[at]
                            .storage
                            .free
                            .saturating_sub(here.count() as u64 * total / sets)
                    };
                    let best = (0..node.devices.len()).max_by_key(|&at| free(at));
                    nodes.extend(best.map(|at| (free(at), &node.id, at)));
                }
                nodes.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
                nodes.retain(|(free, _, _)| *free >= total / sets);
                taken.extend(
                    nodes
                        .iter()
                        .take(width)
                        .map(|(_, id, at)| ((*id).clone(), *at)),
                );
            }
            if taken.len() == width * usize::try_from(sets).expect("small") {
                let bricks = taken.into_iter();
                return Some(
                    bricks
                        .map(|(node, at)| self.brick(&node, at, volume, total / sets))
                        .collect(),
                );
            }
        }
        None
    }

    fn brick(&mut self, node: &str, device: usize, volume: &str, size: u64) -> BrickInfo {
        let id = self.id();
        let device = &mut self
            .nodes
            .get_mut(node)
            .expect("it was placed there")
            .devices[device];
        let brick = BrickInfo {
            path: format!("/var/lib/heketi/mounts/vg_{}/brick_{id}/brick", device.id),
            id,
            device: device.id.clone(),
            node: node.into(),
            volume: volume.into(),
            size,
        };
        device.storage.used += size;
        device.storage.free -= size;
        device.bricks.push(brick.clone());
        brick
    }

    fn describe(
        &self,
        id: &str,
        cluster: &str,
        create: &VolumeCreate,
        bricks: Vec<BrickInfo>,
    ) -> VolumeInfo {
        let name = if create.name.is_empty() {
            format!("vol_{id}")
        } else {
            create.name.clone()
        };
        let nodes = self
            .nodes
            .values()
            .filter(|node| node.add.cluster == cluster);
        let hosts: Vec<String> = nodes
            .flat_map(|node| node.add.hostnames.storage.clone())
            .collect();
        let device = format!("{}:{name}", hosts.first().map_or("", String::as_str));
        let others = hosts.get(1..).unwrap_or_default().join(",");
        let mut options = vec![String::new()];
        options.extend(create.glustervolumeoptions.iter().cloned());
        options.push(String::new());
        VolumeInfo {
            size: create.size,
            name,
            durability: create.durability.clone(),
            gid: create.gid,
            glustervolumeoptions: options,
            snapshot: Snapshot {
                enable: create.snapshot.enable,
                factor: if create.snapshot.enable {
                    create.snapshot.factor
                } else {
                    1.0
                },
            },
            id: id.into(),
            cluster: cluster.into(),
            mount: Mount {
                glusterfs: GlusterfsMount {
                    hosts,
                    device,
                    options: [("backup-volfile-servers".to_owned(), others)].into(),
                },
            },
            bricks,
            ..VolumeInfo::default()
        }
    }
}
