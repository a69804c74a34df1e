//! What is mounted where, by /proc/self/mountinfo.

use std::path::Path;

use super::api::Failure;

/// What is mounted at `directory`, the topmost: `/dev/loop3`, say.
pub(super) fn source(directory: &Path) -> Result<Option<String>, Failure> {
    let path = Path::new("/proc/self/mountinfo");
    let text = std::fs::read_to_string(path).map_err(|error| Failure::io("read", path, &error))?;
    Ok(source_in(&text, directory))
}

/// Fields are separated by blanks: the fifth is the mount point, and the
/// second after a lone dash is the source. Our paths have no characters that
/// would be escaped.
fn source_in(mountinfo: &str, directory: &Path) -> Option<String> {
    mountinfo
        .lines()
        .rev()
        .find(|line| {
            let point = line.split(' ').nth(4);
            point.is_some_and(|point| Path::new(point) == directory)
        })
        .and_then(|line| line.split_once(" - ")?.1.split(' ').nth(1))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
43 22 7:0 / /srv/g/brick_a rw,relatime shared:5 master:2 - xfs /dev/loop0 rw,nouuid
44 22 7:1 / /srv/g/brick_b rw,relatime - xfs /dev/loop1 rw,nouuid
45 44 7:2 / /srv/g/brick_b rw,relatime - xfs /dev/loop2 rw,nouuid
";

    #[test]
    fn the_topmost_mount_counts() {
        let source = |path: &str| source_in(MOUNTS, Path::new(path));
        assert_eq!(source("/srv/g/brick_a").as_deref(), Some("/dev/loop0"));
        assert_eq!(source("/srv/g/brick_b").as_deref(), Some("/dev/loop2"));
        assert_eq!(source("/srv/g/brick"), None);
        assert_eq!(source_in("nonsense\n\n", Path::new("/")), None);
    }

    #[test]
    fn every_host_has_a_root() {
        assert!(matches!(self::source(Path::new("/")), Ok(Some(_))));
    }
}
