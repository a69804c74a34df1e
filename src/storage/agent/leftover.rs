//! Brick processes that glusterd has lost.
//!
//! A glusterd that dies just when it has started a brick's process knows nothing of
//! it when it is back. If the volume is deleted meanwhile nobody ends that process,
//! and the brick's file system stays busy. So before a brick goes, a process that
//! serves it, and nothing else, is ended: by then glusterd has no volume with it.

use std::fs;
use std::path::Path;

use super::api::Failure;
use super::program::{SOON, attempt};

/// Ends the process that serves this brick, if there is one.
pub(super) async fn end(brick: &str) -> Result<(), Failure> {
    for id in processes(brick)? {
        tracing::warn!(
            brick,
            process = id,
            "glusterd has lost this brick's process, which is ended"
        );
        let ended = attempt("kill", &["-TERM", "--", &id], SOON).await?;
        // It may have ended by itself.
        if !ended.worked {
            tracing::debug!(brick, process = id, errors = ended.errors);
        }
    }
    Ok(())
}

/// Ids of processes that serve this brick.
fn processes(brick: &str) -> Result<Vec<String>, Failure> {
    let proc = Path::new("/proc");
    let entries = fs::read_dir(proc).map_err(|error| Failure::io("read", proc, &error))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let numbers = names.filter(|name| name.bytes().all(|octet| octet.is_ascii_digit()));
    Ok(numbers
        .filter(|id| {
            // One that ends meanwhile cannot be read.
            fs::read(proc.join(id).join("cmdline")).is_ok_and(|told| serves(&told, brick))
        })
        .collect())
}

/// Whether a command line, with a zero after each word, is of a process that
/// serves this brick alone. With Gluster's multiplexing one serves many.
fn serves(command: &[u8], brick: &str) -> bool {
    let words: Vec<&[u8]> = command.split(|octet| *octet == 0).collect();
    let is_brick = |pair: &[&[u8]]| pair == [b"--brick-name", brick.as_bytes()];
    words[0].ends_with(b"/glusterfsd")
        && words.windows(2).any(is_brick)
        && !words.contains(&&b"--brick-mux"[..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_process_of_this_brick_is_meant() {
        let line = |words: &str| words.replace(' ', "\0").into_bytes();
        let path = "/d/brick_a/brick";
        let good =
            "/usr/sbin/glusterfsd -s h --volfile-id v --brick-name /d/brick_a/brick --brick-port 1";
        assert!(serves(&line(good), path));
        for other in [
            "",
            "/usr/sbin/glusterfsd -s h --brick-name /d/brick_a/brick2",
            "/usr/sbin/glusterfsd -s h --brick-name",
            "/usr/sbin/glusterfsd --brick-mux --brick-name /d/brick_a/brick",
            "/usr/bin/vim --brick-name /d/brick_a/brick",
        ] {
            assert!(!serves(&line(other), path), "{other}");
        }
        let none = processes("/d/brick_of_nobody/brick").expect("processes");
        assert_eq!(none, [""; 0]);
    }
}
