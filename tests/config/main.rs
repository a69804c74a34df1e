//! Configurations as users write them: what is accepted and as what, what is
//! refused and in which words.
//!
//! - `accept/NAME.yaml` with `NAME.txt`: the whole model, and the notes.
//! - `reject/NAME.yaml` with `NAME.txt`: the errors as `loods check` prints them.
//!
//! `UPDATE_EXPECT=1 cargo test --test config` rewrites the `.txt` files: read
//! the difference before it is committed.

mod bounds;
mod documents;
mod golden;
mod places;
mod secrets;
