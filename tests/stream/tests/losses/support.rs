//! The parts of the laboratory that this crate's tests use as they are.

#[path = "../../../support/lab.rs"]
#[allow(dead_code)]
pub mod lab;
#[path = "../../../support/process.rs"]
#[allow(dead_code)]
pub mod process;
#[path = "../../../support/stream.rs"]
#[allow(dead_code)]
pub mod stream;
#[path = "../../../support/wait.rs"]
#[allow(dead_code)]
pub mod wait;
