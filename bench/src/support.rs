//! The parts of the tests' laboratory that the bench uses as they are.

#[path = "../../tests/support/control_plane.rs"]
#[allow(dead_code)]
pub mod control_plane;
#[path = "../../tests/support/lab.rs"]
#[allow(dead_code)]
pub mod lab;
#[path = "../../tests/support/process.rs"]
#[allow(dead_code)]
pub mod process;
#[path = "../../tests/support/wait.rs"]
#[allow(dead_code)]
pub mod wait;

/// Where the programs are. The laboratory's own version of this knows a test's
/// binaries, which a bench has not.
pub mod tools {
    use std::path::PathBuf;

    /// Kubernetes in one program; `bench/run` says where.
    pub fn kube() -> PathBuf {
        let path = PathBuf::from(std::env::var_os("LOODS_KUBE").unwrap_or_default());
        assert!(
            path.is_file(),
            "LOODS_KUBE={} is no program: tests/run builds it",
            path.display()
        );
        path
    }
}
