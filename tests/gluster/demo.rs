//! `loods storage demo`: its whole story, and that nothing of it is left.

use crate::support::lab::Lab;
use crate::support::{readme, tools, wait};
use std::process::{Command, Stdio};

/// Directories and loop devices of demos, as this machine has them.
fn left() -> Vec<String> {
    let entries = std::fs::read_dir(std::env::temp_dir()).expect("a directory");
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut left: Vec<String> = names
        .filter(|name| name.starts_with("loods-demo-"))
        .collect();
    let loops = Command::new("losetup")
        .args(["--list", "--output", "BACK-FILE"])
        .output();
    let loops = String::from_utf8(loops.expect("losetup").stdout).expect("text");
    left.extend(
        loops
            .lines()
            .filter(|line| line.contains("loods-demo-"))
            .map(Into::into),
    );
    left
}

#[test]
#[ignore = "needs root and glusterfs-server: tests/run gluster"]
fn it_tells_its_story_and_leaves_nothing() {
    let lab = Lab::new();
    let told = Command::new(tools::loods(&lab))
        .args(["storage", "demo", "--once"])
        .output()
        .expect("it runs");
    let page = String::from_utf8_lossy(&told.stdout);
    assert!(told.status.success(), "{page}");
    assert_eq!(page.matches("    ok: ").count(), 6, "{page}");
    // As the article shows it.
    for line in [
        "Durability Type: replicate",
        "Replica Count: 2",
        "Mount Options: backup-volfile-servers=",
    ] {
        assert!(page.contains(line), "{line}: {page}");
    }
    assert!(readme::lines_told("storage demo", &page) > 6, "{page}");
    // In a pipe there are no colours.
    assert!(!page.contains('\x1b'), "{page}");
    assert_eq!(left(), Vec::<String>::new());
}

#[test]
#[ignore = "needs root and glusterfs-server: tests/run gluster"]
fn interrupted_in_the_midst_it_leaves_nothing() {
    let lab = Lab::new();
    for signal in ["INT", "TERM"] {
        let mut demo = Command::new(tools::loods(&lab))
            .args(["storage", "demo", "--once"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it runs");
        wait::until("it is in the midst", || {
            let bricks = left().iter().any(|line| line.contains("/brick_"));
            wait::check(bricks, left())
        });
        let kill = ["-s", signal, &demo.id().to_string()];
        let killed = Command::new("kill").args(kill).status();
        assert!(killed.is_ok_and(|killed| killed.success()));
        let ended = demo.wait().expect("it ends");
        assert!(!ended.success(), "{signal}");
        wait::until("nothing is left", || wait::check(left().is_empty(), left()));
    }
}
