//! Two session machines on a virtual link, in virtual time: what one machine
//! cannot show alone. Nothing here sleeps; every run follows from its seed.

mod link;

mod backoff;
mod collision;
mod silence;
mod storm;
