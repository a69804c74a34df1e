//! Scenarios: objects go into a store, statuses and routes come out. The
//! daemons are whole (an allocator, three speakers, real sessions on loopback
//! to a small router); only the API server is a store, which can be slow,
//! stale or hostile in ways that a real one shows once a year.
//!
//! That nothing flapped is read from the router: since when each route has
//! stood without a break.

mod faults;
mod world;
