//! The article's volume in half a minute: three storage hosts on this machine,
//! no cluster.
//!
//! ```text
//!    web1            web2              198.18.77.31, .32: FUSE mounts
//!      \              /
//!   ----+------+-----+------+------    bridge, in a network of its own
//!       |      |            |
//!     gfs1   gfs2         gfs3         198.18.77.11 … .13: glusterd and agent
//!       '- manager, http://gfs1:8080
//! ```
//!
//! Everything is real but the wires: Debian's glusterd, XFS in loop files, the
//! FUSE client; manager and agents are processes of this same program. What is
//! asked of the manager goes through Heketi's REST API by the client that the
//! controller uses.
//!
//! [`run`] starts this program a second time in fresh namespaces
//! (`outside`), where the story is told ([`tell`]). The kernel takes
//! everything in them away when that process ends, however it ends; what is
//! left then is a directory.

mod hosts;
mod outside;
mod scene;
mod story;

use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub use hosts::LabError;
pub use outside::run;

use scene::Scene;

/// What the user asked for.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Do not wait for a reader, and end when the story does.
    pub once: bool,
}

/// Why there was no story, or no good one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No hosts.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// A step did not go as it should; the page says which.
    #[error("{0} of the story's steps did not go as they should")]
    Wrong(usize),
    /// It was stopped before its end.
    #[error("the story was not told to its end")]
    Interrupted,
}

/// Between two steps, for a reader.
const PACE: Duration = Duration::from_secs(2);

/// Tells the story, in the namespaces that [`run`] made; without `once`
/// everything stays up until `stop`.
///
/// # Errors
/// No hosts can be made, a step went wrong, or it was stopped.
pub async fn tell(options: Options, dir: &Path, stop: CancellationToken) -> Result<(), Error> {
    let pace = if options.once { Duration::ZERO } else { PACE };
    // With `once` the exit code is worth something without a reader, too.
    let unread = match options.once {
        true => CancellationToken::new(),
        false => stop.clone(),
    };
    let mut scene = Scene::set(dir, pace, unread)?;
    let told = stop.run_until_cancelled(story::tell(&mut scene)).await;
    if told.is_some() && !options.once {
        story::epilogue(&scene);
        stop.cancelled().await;
    }
    match (told, scene.wrong) {
        (_, wrong) if wrong > 0 => Err(Error::Wrong(wrong)),
        (None, _) if options.once => Err(Error::Interrupted),
        _ => Ok(()),
    }
}
