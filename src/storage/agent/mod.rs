//! The agent of one storage host: bricks, and `gluster` by its command line.
//!
//! ```text
//!   manager --POST /v1, mutual TLS--> server --Request--> Agent --> devices   records, space
//!           <------------ Reply -----'                      |-----> bricks    loop files, directories
//!                                                           |-----> snapshots reflinks of loop files
//!                                                           '-----> glusterd  `gluster --xml`
//! ```
//!
//! [`api`] is what the manager may ask, and nothing else can be asked. Every
//! request may be repeated, and the agent may be killed anywhere: what a
//! directory holds says what is done and what is not.
//!
//! One device, a directory, with one loop brick and a snapshot of it:
//!
//! ```text
//!   /srv/gluster/loods-device.json           the device's record
//!   /srv/gluster/brick_<id>.json             the brick's record, written first
//!   /srv/gluster/brick_<id>.new              a brick that is being made
//!   /srv/gluster/brick_<id>.img              a finished one: sparse, XFS in it
//!   /srv/gluster/brick_<id>/                 where it is mounted
//!   /srv/gluster/brick_<id>/brick            what glusterd is given
//!   /srv/gluster/snapshot_<id>_<id>.img      the brick as a snapshot has it
//! ```
//!
//! glusterd is given a directory inside of the mount, so that a brick that is
//! not mounted has no such directory, and glusterd leaves it alone instead of
//! filling the host's own file system.
//!
//! What has no record of ours is never touched, and no symbolic link is
//! followed.

pub mod api;
mod bricks;
pub mod certificates;
pub mod client;
mod devices;
mod failure;
mod files;
mod glusterd;
mod host;
mod layout;
mod leftover;
mod loops;
mod mounts;
mod program;
pub mod server;
mod snapshots;
mod space;
pub mod tls;

pub use host::{Agent, Settings};
pub(crate) use program::package;
