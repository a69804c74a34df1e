//! What to do next for a claim or a volume. Pure.
//!
//! ```text
//!   facts of claims, PVs, classes --> World --next(now)--> Task: one step of one thing
//!                                       ^                    |
//!                                       '--done(outcome)-----'  carried out by the controller
//! ```
//!
//! A claim that is to be served goes this way; each arrow is one call that may
//! fail, be lost, or be the last thing this process does:
//!
//! ```text
//!   Find by name --> what it begins with --> Mark the claim --> Ensure the volume --> Publish the PV --> Unmark
//! ```
//!
//! What makes it safe is said in five sentences.
//!
//! - The volume's name follows from the claim's uid, and before anything is
//!   made the name is looked up: there is never a second one.
//! - A claim is marked with a finalizer before Heketi is asked to make
//!   anything, and the mark goes when the PV is there. So a claim cannot vanish
//!   while its volume may exist and nothing else tells of it, whoever crashes.
//! - A claim that is deleted while marked has its volume *ensured* and then
//!   deleted. Heketi does not list a volume that it is still making, so that a
//!   look-up finds nothing proves nothing; but a second order of the same name
//!   ends only when the first has ended.
//! - A claim is marked only after Heketi has answered: one whose class names a
//!   wrong address or key never has a finalizer to wait for.
//!
//! Back from a PV: Destroy the volume, Remove the PV, Release its finalizer,
//! again in an order in which every beginning can be repeated.
//!
//! - The volume's group is chosen before the claim is marked and written with
//!   the mark, so a new process knows the groups of volumes that are being made.
//!
//! Nothing about a claim is believed that the claim's owner could have written:
//! which Heketi is asked, and with which Secret, comes from the class or the PV.
//! The group is believed if it is one of the class's: a pod may choose its groups
//! anyway, and mounts no more volumes for it.

mod claim;
mod gids;
mod health;
mod origin;
mod plan;
mod resize;
mod retry;
mod shelf;
mod step;
#[cfg(test)]
mod tests;
mod volume;
mod words;
mod work;
mod world;
mod write;

pub use health::{Errand, Seen, What, note};
pub use origin::Origin;
pub use step::{Failure, Key, Made, Outcome, Step, Target, Task};
pub use volume::may_destroy;
pub use world::{Fact, Options, Tally, World};

/// The finalizer on a claim while its volume is made.
pub const MARK: &str = "gluster.loods.io/provisioning";

/// The finalizer on a PV until its volume is gone: the word that CSI's
/// sidecars use, and Kubernetes' own controllers know.
pub const FINALIZER: &str = "external-provisioner.volume.kubernetes.io/finalizer";
