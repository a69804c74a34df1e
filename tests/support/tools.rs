//! Where the programs are that `tests/run` builds or that Cargo built.

use super::lab::Lab;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Kubernetes in one program (`tests/cluster/kube`), as `tests/run` leaves it.
pub fn kube() -> PathBuf {
    built("LOODS_KUBE", "kube-v1.36.3/kube")
}

/// The fault proxy (`tests/cluster/apiproxy`), as `tests/run` leaves it.
pub fn apiproxy() -> PathBuf {
    built("LOODS_APIPROXY", "apiproxy/apiproxy")
}

/// The test suite of CSI (`tests/csi/sanity`), as `tests/run` leaves it.
pub fn csi_sanity() -> PathBuf {
    built("LOODS_CSI_SANITY", "csi-sanity/csi-sanity")
}

/// What the CSI project has for VolumeSnapshots (`tests/claims/snapshotter`), as
/// `tests/run` leaves it: `csi-snapshotter`, `snapshot-controller`, or `crd`.
pub fn snapshotter(part: &str) -> PathBuf {
    let path = named("LOODS_SNAPSHOTTER", "snapshotter").join(part);
    assert!(
        path.exists(),
        "{} is missing: tests/run builds it (LOODS_SNAPSHOTTER names another place)",
        path.display()
    );
    path
}

/// A copy of the `loods` program that nobody (uid 65534) can reach and that a
/// rebuild does not change under a running test.
pub fn loods(lab: &Lab) -> PathBuf {
    let copy = lab.dir().join("loods");
    if !copy.exists() {
        fs::copy(env!("CARGO_BIN_EXE_loods"), &copy).expect("a copy of the program under test");
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).expect("the copy may be run");
    }
    copy
}

/// A program of the laboratory's image registry and its pods: `registry`,
/// `whoami` or `pause`, as `tests/run` leaves them.
pub fn far_end(program: &str) -> PathBuf {
    let directory = named("LOODS_FAR_END", "far-end");
    in_place(&directory.join(program), "LOODS_FAR_END")
}

/// The load generator (`tests/stream`), which Cargo puts beside `loods`.
pub fn stream() -> PathBuf {
    let beside = Path::new(env!("CARGO_BIN_EXE_loods")).with_file_name("loods-stream");
    assert!(
        beside.is_file(),
        "{} is missing: cargo build -p loods-stream, or tests/run",
        beside.display()
    );
    beside
}

/// The static build of `loods`, the one that is in the image.
pub fn loods_static() -> PathBuf {
    let machine = std::env::consts::ARCH;
    let in_cache = format!("target-static/{machine}-unknown-linux-gnu/release/loods");
    built("LOODS_STATIC", &in_cache)
}

/// A file of the article, with the router's address in place of `10.x.x.1`.
pub fn article(file: &str, router: &str) -> String {
    let path = repository().join("config/article").join(file);
    let text =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.replace("10.x.x.1", router)
}

/// The repository's own files.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn built(variable: &str, in_cache: &str) -> PathBuf {
    in_place(&named(variable, in_cache), variable)
}

fn named(variable: &str, in_cache: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(
        || {
            let cache = std::env::var_os("LOODS_CACHE").unwrap_or("/var/cache/loods".into());
            Path::new(&cache).join(in_cache)
        },
        PathBuf::from,
    )
}

fn in_place(path: &Path, variable: &str) -> PathBuf {
    assert!(
        path.is_file(),
        "{} is missing: tests/run builds it ({variable} names another place)",
        path.display()
    );
    path.into()
}
