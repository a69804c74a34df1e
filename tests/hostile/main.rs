//! The real speaker against routers that do everything wrong. Each router is a
//! listener on loopback that follows its test's script, octet by octet where
//! need be; what is asserted is what such a router sees: which NOTIFICATION,
//! how the connection ends, how often it is dialled, and that an honest router
//! beside it notices nothing.
//!
//! One speaker has many peers here, one for each case, so that no case waits
//! for another one's backoff.

#[path = "../support/wait.rs"]
#[allow(dead_code)]
mod wait;

mod octets;
mod router;
mod speaker;

mod flood;
mod framing;
mod fuzz;
mod opens;
mod silence;
mod stop;
mod updates;
