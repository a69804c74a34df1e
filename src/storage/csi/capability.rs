//! What a caller wants to do with a volume, as far as these volumes can:
//! mounted, never as a block device, by as many nodes as it likes.

use tonic::Status;

use super::missing;
use super::v1::VolumeCapability;
use super::v1::volume_capability::access_mode::Mode;
use super::v1::volume_capability::{AccessType, MountVolume};

/// A capability that a volume of ours has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Mount options of the PV or the class.
    pub mount_flags: Vec<String>,
    /// How many nodes and pods may write.
    pub mode: Mode,
}

impl Access {
    /// Reads the capability of a request.
    pub fn of(capability: Option<&VolumeCapability>) -> Result<Self, Status> {
        let capability = capability.ok_or_else(|| missing("volume_capability"))?;
        let mount = match &capability.access_type {
            Some(AccessType::Mount(mount)) => mount,
            Some(AccessType::Block(_)) => {
                return Err(Status::invalid_argument(
                    "volume_capability asks for a block device: a GlusterFS volume is a file system, use volumeMode Filesystem",
                ));
            }
            None => return Err(missing("volume_capability.access_type")),
        };
        fs_type(mount)?;
        let mode = capability
            .access_mode
            .as_ref()
            .ok_or_else(|| missing("volume_capability.access_mode"))?;
        let mode = match Mode::try_from(mode.mode) {
            Ok(Mode::Unknown) => return Err(missing("volume_capability.access_mode.mode")),
            Ok(mode) => mode,
            Err(_) => {
                return Err(Status::invalid_argument(format!(
                    "volume_capability.access_mode.mode {} is not known: CSI 1.13 has 1 to 7",
                    mode.mode
                )));
            }
        };
        Ok(Self {
            mount_flags: mount.mount_flags.clone(),
            mode,
        })
    }

    /// Whether nobody may write, whatever the pod says.
    pub fn reads_only(&self) -> bool {
        matches!(
            self.mode,
            Mode::SingleNodeReaderOnly | Mode::MultiNodeReaderOnly
        )
    }

    /// Whether one place on one node alone may have the volume (ReadWriteOncePod).
    pub fn alone(&self) -> bool {
        self.mode == Mode::SingleNodeSingleWriter
    }
}

fn fs_type(mount: &MountVolume) -> Result<(), Status> {
    match &*mount.fs_type {
        "" | "glusterfs" | "fuse.glusterfs" => Ok(()),
        other => Err(Status::invalid_argument(format!(
            "volume_capability.mount.fs_type is '{}': a GlusterFS volume brings its own file system, leave fsType out",
            other.escape_default()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::csi::v1::volume_capability::{AccessMode, BlockVolume};
    use tonic::Code;

    fn asked(access_type: Option<AccessType>, mode: Option<i32>) -> VolumeCapability {
        VolumeCapability {
            access_type,
            access_mode: mode.map(|mode| AccessMode { mode }),
        }
    }

    fn mounted() -> Option<AccessType> {
        Some(AccessType::Mount(MountVolume::default()))
    }

    #[test]
    fn what_a_volume_cannot_be_is_refused_with_the_field() {
        let ext4 = MountVolume {
            fs_type: "ext4".into(),
            ..MountVolume::default()
        };
        let table = [
            (None, "volume_capability is missing"),
            (Some(asked(None, Some(1))), "access_type is missing"),
            (
                Some(asked(Some(AccessType::Block(BlockVolume {})), Some(1))),
                "volumeMode Filesystem",
            ),
            (
                Some(asked(Some(AccessType::Mount(ext4)), Some(1))),
                "fs_type is 'ext4'",
            ),
            (Some(asked(mounted(), None)), "access_mode is missing"),
            (Some(asked(mounted(), Some(0))), "mode is missing"),
            (Some(asked(mounted(), Some(8))), "mode 8 is not known"),
        ];
        for (capability, text) in table {
            let refused = Access::of(capability.as_ref()).expect_err(text);
            assert_eq!(refused.code(), Code::InvalidArgument);
            assert!(refused.message().contains(text), "{refused}");
        }
    }

    #[test]
    fn every_mode_of_the_specification_is_taken() {
        for mode in 1..=7 {
            let access = Access::of(Some(&asked(mounted(), Some(mode)))).expect("a mode of CSI");
            assert_eq!(access.reads_only(), mode == 2 || mode == 3);
            assert_eq!(access.alone(), mode == 6);
        }
    }
}
