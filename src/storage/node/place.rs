//! Where mounts may be made: below the kubelet's directory, by a path that says
//! what it means (pure), with no symbolic link in it ([`Places::plain`] looks).

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Longest path (PATH_MAX without its final zero).
const LONGEST: usize = 4095;

/// The directory below which mounts are made and removed.
#[derive(Clone, Debug)]
pub struct Places {
    root: PathBuf,
}

/// A path that is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{}' {why}", path.escape_default())]
pub struct Misplaced {
    path: String,
    why: String,
}

impl Places {
    /// All below `root`, the kubelet's directory.
    pub fn below(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Reads a path: absolute, without `.` and `..`, and below the root.
    pub fn path(&self, text: &str) -> Result<PathBuf, Misplaced> {
        let refused = |why: String| {
            Err(Misplaced {
                path: text.chars().take(200).collect(),
                why,
            })
        };
        if text.len() > LONGEST || text.contains('\0') {
            return refused("is no path".into());
        }
        let path = Path::new(text);
        if !path.is_absolute() {
            return refused("is not an absolute path".into());
        }
        let steps = |step: &str| step == "." || step == "..";
        if text.split('/').any(steps) {
            return refused("has . or .. in it".into());
        }
        // Joined anew, so that doubled and final slashes are gone.
        let path: PathBuf = path.components().collect();
        match path.strip_prefix(&self.root) {
            Ok(rest) if rest.components().next().is_some() => Ok(path),
            _ => refused(format!(
                "is not below {}: mounts are made there alone (--kubelet-dir)",
                self.root.display()
            )),
        }
    }

    /// Looks at each step from the root down to `path`, and refuses a symbolic
    /// link: it could lead a mount to anywhere. What is not there is no link.
    pub fn plain(&self, path: &Path) -> io::Result<()> {
        let rest = path.strip_prefix(&self.root).unwrap_or(path);
        let mut at = self.root.clone();
        for step in rest.components() {
            if let Component::Normal(name) = step {
                at.push(name);
            }
            match fs::symlink_metadata(&at) {
                Ok(there) if there.is_symlink() => {
                    return Err(io::Error::other(format!(
                        "{} is a symbolic link: nothing is mounted behind one",
                        at.display()
                    )));
                }
                Ok(_) => {}
                // A mount that is dead, or silent in its own way, is no link.
                Err(error) if error.raw_os_error() == Some(libc::ENOTCONN) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_below_the_root_is_taken() {
        let places = Places::below("/var/lib/kubelet");
        assert_eq!(
            places.path("/var/lib/kubelet//pods/a/mount/"),
            Ok(PathBuf::from("/var/lib/kubelet/pods/a/mount"))
        );
        let table = [
            ("", "is not an absolute path"),
            ("pods/a", "is not an absolute path"),
            ("/var/lib/kubelet", "is not below"),
            ("/var/lib/kubelet-other/a", "is not below"),
            ("/etc", "is not below /var/lib/kubelet"),
            ("/var/lib/kubelet/../../../etc", "has . or .."),
            ("/var/lib/kubelet/./a", "has . or .."),
            ("/var/lib/kubelet/a\0b", "is no path"),
        ];
        for (text, why) in table {
            let refused = places.path(text).expect_err(why).to_string();
            assert!(refused.contains(why), "{refused}");
        }
    }

    #[test]
    fn a_link_on_the_way_is_refused() {
        let root = std::env::temp_dir().join(format!("loods-place-{}", std::process::id()));
        fs::create_dir_all(root.join("real")).expect("a directory");
        let link = root.join("link");
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink("/etc", &link).expect("a link");
        let places = Places::below(&root);
        assert!(places.plain(&root.join("real/new/mount")).is_ok());
        let refused = places
            .plain(&link.join("x"))
            .expect_err("a link")
            .to_string();
        fs::remove_dir_all(&root).expect("removed");
        assert!(refused.contains("is a symbolic link"), "{refused}");
    }
}
