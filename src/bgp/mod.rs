//! BGP-4 for a stub that originates routes and keeps none it receives.
//!
//! Pure: no sockets, no clock, no randomness. Time enters as `now`, bytes as
//! slices; answers are values.
//!
//! ```text
//!   bytes in -> wire::decode -> fsm (one connection) -> peer (two connections,
//!   collision, backoff) -> outputs: dial, send, close, up, down
//!   wanted routes -> rib (difference to what was advertised) -> pack -> bytes out
//! ```

mod fsm;
pub mod iana;
mod jitter;
pub mod pack;
pub mod peer;
pub mod rib;
pub mod types;
pub mod wire;
