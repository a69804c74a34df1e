//! Volumes that a lost Heketi made, as a cluster still knows them: pure.
//!
//! glusterd has the volumes, and PersistentVolumes have what Heketi's database
//! had beside: the id that the PV asks by, the size that was promised, and the
//! group.

use std::collections::BTreeMap;

use serde_json::Value;

use super::DRIVER;
use super::class::quantity;
use super::heketi::loods::{Adopt, Stranger};
use super::heketi::wire::VolumeInfo;

const HEKETI_ID: &str = "gluster.kubernetes.io/heketi-volume-id";
const GROUP: &str = "pv.beta.kubernetes.io/gid";

/// What a PV tells of the volume that it names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hint {
    /// `metadata.name`.
    pub persistent_volume: Box<str>,
    /// The id that it asks by.
    pub id: Option<String>,
    /// `spec.capacity.storage`, in GiB.
    pub size: Option<i64>,
    /// Its annotation `pv.beta.kubernetes.io/gid`.
    pub gid: Option<i64>,
}

/// Whether a PV is of Gluster: of the removed plugin, or of ours.
pub fn is_of_gluster(volume: &Value) -> bool {
    volume_of(volume).is_some()
}

/// The name in Gluster of a PV's volume.
fn volume_of(volume: &Value) -> Option<&str> {
    let spec = &volume["spec"];
    let name = if spec["csi"]["driver"] == DRIVER {
        spec["csi"]["volumeAttributes"]["volume"].as_str()
    } else {
        // The plugin mounted HOST:PATH, and people wrote the slash or not.
        spec["glusterfs"]["path"].as_str()
    };
    name.map(|name| name.trim_matches('/'))
        .filter(|name| !name.is_empty())
}

/// By the volume's name in Gluster. Of several PVs of one volume the one that
/// knows its id counts, else the first by name.
pub fn hints(volumes: &[Value]) -> BTreeMap<Box<str>, Hint> {
    let mut all: Vec<(&str, Hint)> = volumes
        .iter()
        .filter_map(|volume| Some((volume_of(volume)?, hint(volume))))
        .collect();
    all.sort_by(|(_, one), (_, other)| {
        let order = |hint: &Hint| (hint.id.is_none(), hint.persistent_volume.clone());
        order(one).cmp(&order(other))
    });
    let mut hints = BTreeMap::new();
    for (name, hint) in all {
        hints.entry(name.into()).or_insert(hint);
    }
    hints
}

fn hint(volume: &Value) -> Hint {
    let (metadata, spec) = (&volume["metadata"], &volume["spec"]);
    let note = |key: &str| metadata["annotations"][key].as_str();
    let id = note(HEKETI_ID).or_else(|| spec["csi"]["volumeHandle"].as_str());
    let size = spec["capacity"]["storage"].as_str();
    let size = size.and_then(quantity::bytes).map(quantity::gib);
    Hint {
        persistent_volume: metadata["name"].as_str().unwrap_or_default().into(),
        // A PV that people made by hand has what they liked there.
        id: id
            .filter(|id| crate::storage::gluster::name::id(id).is_ok())
            .map(str::to_owned),
        size: size.and_then(|gib| i64::try_from(gib).ok()),
        gid: note(GROUP).and_then(|gid| gid.parse().ok()),
    }
}

/// What the manager is told of a volume: what the user says, else what its PV does.
pub fn wish(name: &str, said: &Adopt, hint: Option<&Hint>) -> Adopt {
    let hint = hint.cloned().unwrap_or_default();
    Adopt {
        volume: name.into(),
        id: said.id.clone().or(hint.id),
        size: said.size.or(hint.size),
        gid: said.gid.or(hint.gid),
    }
}

/// What became of one volume, or would.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// As the manager sees it.
    #[serde(flatten)]
    pub stranger: Stranger,
    /// The PV that told of it; "" where there is none.
    pub persistent_volume: Box<str>,
    /// It is under management now.
    pub adopted: bool,
    /// Bricks that the manager's own took the place of, in this run.
    pub replaced: usize,
}

impl Row {
    /// A volume that is the manager's since an earlier run.
    pub fn adopted_before(volume: &VolumeInfo) -> Self {
        let stranger = Stranger {
            name: volume.name.clone(),
            cluster: volume.cluster.clone(),
            id: volume.id.clone(),
            size: volume.size,
            gid: volume.gid,
            durability: volume.durability.clone(),
            ..Stranger::default()
        };
        Self {
            stranger,
            adopted: true,
            ..Self::default()
        }
    }

    /// A volume that cannot be adopted.
    pub fn refused(name: &str, why: String) -> Self {
        Self {
            stranger: Stranger {
                name: name.into(),
                refused: why,
                ..Stranger::default()
            },
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn old(name: &str, path: &str, id: Option<&str>) -> Value {
        let mut volume = json!({
            "metadata": {"name": name, "annotations": {GROUP: "2003"}},
            "spec": {"capacity": {"storage": "2Gi"}, "glusterfs": {"endpoints": "e", "path": path}},
        });
        if let Some(id) = id {
            volume["metadata"]["annotations"][HEKETI_ID] = id.into();
        }
        volume
    }

    #[test]
    fn persistent_volumes_tell_what_heketi_knew() {
        let id = "5".repeat(32);
        let csi = json!({
            "metadata": {"name": "new"},
            "spec": {"capacity": {"storage": "1536Mi"}, "csi": {
                "driver": DRIVER, "volumeHandle": "vol_c", "volumeAttributes": {"volume": "vol_c"}}},
        });
        let other = json!({
            "metadata": {"name": "other"},
            "spec": {"csi": {"driver": "x", "volumeAttributes": {"volume": "vol_a"}}},
        });
        let volumes = [
            old("a", "vol_a", None),
            old("b", "/vol_a", Some(&id)),
            csi,
            other,
        ];
        assert!(!is_of_gluster(&volumes[3]));
        let hints = hints(&volumes);
        assert_eq!(
            hints.keys().map(|it| &**it).collect::<Vec<_>>(),
            ["vol_a", "vol_c"]
        );
        let known = Hint {
            persistent_volume: "b".into(),
            id: Some(id),
            size: Some(2),
            gid: Some(2003),
        };
        assert_eq!(hints["vol_a"], known);
        // A handle that is a name is no id.
        assert_eq!((&hints["vol_c"].id, hints["vol_c"].size), (&None, Some(2)));
    }

    #[test]
    fn what_the_user_says_counts_more() {
        let hint = Hint {
            id: Some("5".repeat(32)),
            size: Some(2),
            ..Hint::default()
        };
        let said = Adopt {
            size: Some(3),
            gid: Some(9),
            ..Adopt::default()
        };
        let wish = wish("vol_a", &said, Some(&hint));
        assert_eq!((wish.size, wish.gid, wish.id), (Some(3), Some(9), hint.id));
        assert_eq!(wish.volume, "vol_a");
    }
}
