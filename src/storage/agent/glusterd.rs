//! `gluster`, and starting glusterd where nobody else does.

use std::collections::BTreeSet;
use std::time::Duration;

use super::api::{Command, Failure};
use super::program::{SOON, attempt};
use crate::storage::gluster::{Volume, VolumeState, command, error, replies, xml};

/// How long glusterd may take until it answers.
const START: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(100);

/// Runs a command: what `gluster --xml` said, success or not.
pub(super) async fn run(given: &Command) -> Result<String, Failure> {
    let mut told = String::new();
    let calls = command::runs(given)?;
    let last = calls.len().saturating_sub(1);
    for (at, call) in calls.iter().enumerate() {
        let output = attempt("gluster", call, command::time_limit(given)).await?;
        told = if output.text.trim_start().starts_with('<') {
            output.text
        } else if is_silent(&output.text) || is_silent(&output.errors) {
            return Err(Failure::busy(
                "glusterd does not answer on this host: start it (systemctl start glusterd)",
            ));
        } else if command::answers_in_words(given) {
            xml::envelope(output.worked, &(output.text + &output.errors))
        } else {
            return Err(Failure::internal(format!(
                "gluster answered {:?} {:?} where XML was asked for",
                output.text.chars().take(200).collect::<String>(),
                output.errors
            )));
        };
        if at < last
            && let Err(error) = error::success(&told)
            && !command::holds_already(given, &error)
        {
            break;
        }
    }
    Ok(told)
}

/// What `gluster` says when there is no glusterd.
fn is_silent(words: &str) -> bool {
    words.contains("Connection failed")
}

/// All volumes that this host's glusterd knows.
pub(super) async fn volumes() -> Result<Vec<Volume>, Failure> {
    let told = run(&Command::Info(None)).await?;
    replies::info(&told).map_err(|error| Failure::busy(error.to_string()))
}

/// `gluster --version`: the number alone; "" when there is no `gluster`.
pub(super) async fn version() -> String {
    let told = attempt("gluster", &["--version"], SOON).await;
    let text = told.map(|output| output.text).unwrap_or_default();
    version_in(&text).unwrap_or_default().to_owned()
}

/// `glusterfs 10.3` is the first line.
fn version_in(text: &str) -> Option<&str> {
    let number = text.lines().next()?.split(' ').nth(1)?;
    number
        .starts_with(|first: char| first.is_ascii_digit())
        .then_some(number)
}

/// Whether glusterd answers here.
pub(super) async fn answers() -> bool {
    run(&Command::PoolList).await.is_ok()
}

/// Starts glusterd, which goes into the background by itself, and waits until
/// it answers.
pub(super) async fn start() -> Result<(), Failure> {
    let output = attempt("glusterd", &[] as &[&str], START).await?;
    if !output.worked {
        return Err(Failure::internal(format!(
            "glusterd does not start: {}; its log is in /var/log/glusterfs/glusterd.log",
            output.errors
        )));
    }
    let ready = async {
        while !answers().await {
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(START, ready).await.map_err(|_| {
        Failure::busy(
            "glusterd was started but does not answer: see /var/log/glusterfs/glusterd.log",
        )
    })
}

/// Starts the processes of bricks that were mounted too late for glusterd,
/// of volumes that are to serve.
pub(super) async fn revive(mounted: &BTreeSet<String>) -> Result<(), Failure> {
    for volume in volumes().await? {
        if volume.state == VolumeState::Started && mounted.contains(&volume.name) {
            tracing::info!(
                volume = volume.name,
                "starting the bricks that were not mounted"
            );
            let told = run(&Command::Start(volume.name.clone(), true)).await?;
            if let Err(error) = replies::done(&told) {
                tracing::error!(volume = volume.name, %error, "its bricks here do not start");
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_a_number() {
        assert_eq!(version_in("glusterfs 10.3\nRepository…\n"), Some("10.3"));
        assert_eq!(version_in("sh: gluster: not found"), None);
        assert_eq!(version_in(""), None);
    }
}
