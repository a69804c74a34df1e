//! The kernel's list of mounts, `/proc/PID/mountinfo` (pure; proc(5)).
//!
//! ```text
//!  36 35 0:52 /sub /mnt/a rw,nosuid shared:7 master:1 - fuse.glusterfs h:/v rw,user_id=0
//!        |    |    |      |         |                   |              |
//!        |    root point  of the    any number of       type           source
//!        device           mount     tags
//! ```

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Octets of a list that are read: a node with 10,000 mounts has 2 MiB.
pub const LARGEST: u64 = 16 << 20;

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// `major:minor` of the file system: the same for all bind mounts of it.
    pub device: String,
    /// Which directory of the file system is the mount's root.
    pub root: PathBuf,
    /// Where it is, as the process sees it.
    pub point: PathBuf,
    /// Whether this mount is read-only.
    pub read_only: bool,
    /// Its other options that a bind mount can lose: `nosuid`, `nodev`, `noexec`, `noatime`, …
    pub options: Vec<String>,
    /// Type of the file system, such as `fuse.glusterfs`.
    pub kind: String,
    /// What is mounted, as the file system calls it.
    pub source: String,
}

impl Mount {
    /// The device as two numbers.
    pub fn numbers(&self) -> Option<(u32, u32)> {
        let (major, minor) = self.device.split_once(':')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    }
}

/// Reads a list. A line that is not understood is left out: the kernel may
/// learn new words, and one of them must not hide all mounts.
pub fn parse(text: &[u8]) -> Vec<Mount> {
    text.split(|&octet| octet == b'\n')
        .filter_map(line)
        .collect()
}

/// The mount on top at `point`, if there is one: what stands last in the list.
pub fn at<'a>(mounts: &'a [Mount], point: &Path) -> Option<&'a Mount> {
    mounts.iter().rev().find(|mount| mount.point == point)
}

fn line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|&octet| octet == b' ');
    let mut next = || fields.next();
    let (_id, _parent) = (next()?, next()?);
    let device = text(next()?);
    let root = path(next()?);
    let point = path(next()?);
    let options = text(next()?);
    while next()? != b"-" {}
    let kind = text(next()?);
    let source = text(next()?);
    let mut options: Vec<String> = options.split(',').map(str::to_owned).collect();
    let read_only = options.iter().any(|option| option == "ro");
    options.retain(|option| option != "ro" && option != "rw");
    Some(Mount {
        device,
        root,
        point,
        read_only,
        options,
        kind,
        source,
    })
}

fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(&unescaped(field)).into_owned()
}

fn path(field: &[u8]) -> PathBuf {
    OsString::from_vec(unescaped(field)).into()
}

/// Blank, tab, line feed and backslash are written as three octal digits.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, tail)) = rest.split_first() {
        let digits = tail.first_chunk::<3>().filter(|_| first == b'\\');
        let value = digits.and_then(|digits| {
            digits.iter().try_fold(0_u8, |sum, digit| match digit {
                b'0'..=b'7' => sum.checked_mul(8)?.checked_add(digit - b'0'),
                _ => None,
            })
        });
        out.push(value.unwrap_or(first));
        rest = if value.is_some() { &tail[3..] } else { tail };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_field_is_read() {
        let text = b"36 35 0:52 /sub /mnt/a\\040b ro,nosuid shared:7 master:1 - fuse.glusterfs h:/v rw,user_id=0\n";
        let mounts = parse(text);
        let [mount] = &mounts[..] else {
            panic!("{mounts:?}")
        };
        assert_eq!(mount.device, "0:52");
        assert_eq!(mount.root, Path::new("/sub"));
        assert_eq!(mount.point, Path::new("/mnt/a b"));
        assert!(mount.read_only);
        assert_eq!(mount.options, ["nosuid"]);
        assert_eq!((&*mount.kind, &*mount.source), ("fuse.glusterfs", "h:/v"));
    }

    #[test]
    fn the_mount_on_top_is_the_last_one() {
        let text = b"1 0 0:1 / /m rw - tmpfs a rw\n2 1 0:2 / /m ro - tmpfs b rw\nnonsense\n";
        let mounts = parse(text);
        assert_eq!(mounts.len(), 2);
        let top = at(&mounts, Path::new("/m")).expect("mounted");
        assert_eq!((&*top.source, top.read_only), ("b", true));
        assert_eq!(at(&mounts, Path::new("/")), None);
    }

    #[test]
    fn this_process_has_a_root() {
        let own = std::fs::read("/proc/self/mountinfo").expect("Linux has it");
        assert!(at(&parse(&own), Path::new("/")).is_some());
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in prop::collection::vec(any::<u8>(), 0..200)) {
            parse(&text);
        }

        #[test]
        fn a_path_comes_back_as_it_was(name in "[ -~\t]{1,30}") {
            let written = name.replace('\\', "\\134").replace(' ', "\\040").replace('\t', "\\011");
            let line = format!("1 0 0:1 / /{written} rw - tmpfs none rw");
            let mounts = parse(line.as_bytes());
            prop_assert_eq!(&mounts[0].point, &Path::new("/").join(&name));
        }
    }
}
