//! glusterd by its command line, as values: what to call, and what it said.
//!
//! ```text
//!   api::Command --runs--> arguments of `gluster`, one list for each call
//!   XML text --read--> Element --info, pool, status, heal--> Volume, Peer, …
//!                        '-- opRet, opErrno, opErrstr --> GlusterError { kind }
//!   Record <--decode, encode--> options user.loods.* of a volume
//! ```
//!
//! Pure. `gluster` ends with status 0 whether it worked or not, so that only
//! the XML tells; and what it tells is a sentence, so that [`Kind`] is found by
//! words. The words are those of GlusterFS 10.3, recorded; a sentence that is
//! not known is [`Kind::Other`] and is shown as it is.
//!
//! Elements that are not known are passed over: other versions have more.

pub mod command;
pub mod error;
pub mod name;
pub mod record;
pub mod replies;
pub mod snapshot;
pub mod xml;

pub use error::{GlusterError, Kind};
pub use record::Record;
pub use replies::{BrickHeal, BrickStatus, Peer, Volume, VolumeBrick, VolumeState};
pub use snapshot::{SnapshotBrick, SnapshotRecord};
