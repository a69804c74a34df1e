//! The Container Storage Interface: its messages, and what our two services
//! (Node on every node, Controller beside the controller) have in common.
//!
//! `proto/csi.proto` has what is served of version 1.13.0. Calls that are not
//! there answer UNIMPLEMENTED, and secrets in requests are not even read.

mod authority;
pub mod busy;
pub mod capability;
pub mod identity;
pub mod serve;

/// Messages and services of CSI, made from `proto/csi.proto`.
#[allow(missing_docs, clippy::all)] // generated; the specification is its documentation
pub mod v1 {
    tonic::include_proto!("csi.v1");
}

/// What a kubelet asks of a plugin's registration socket.
#[allow(missing_docs, clippy::all)] // generated; the kubelet's text is its documentation
pub mod registration {
    tonic::include_proto!("pluginregistration");
}

use tonic::Status;

/// Longest id, name or key of CSI that is taken, in octets.
const LONGEST: usize = 128;

/// A required text field: INVALID_ARGUMENT where it is empty or longer than
/// CSI's general limit.
pub fn required<'a>(field: &str, value: &'a str) -> Result<&'a str, Status> {
    if value.is_empty() {
        return Err(missing(field));
    }
    if value.len() > LONGEST {
        return Err(Status::invalid_argument(format!(
            "{field} has {} octets: CSI allows {LONGEST}",
            value.len()
        )));
    }
    Ok(value)
}

/// The answer to a request that leaves a required field out.
pub fn missing(field: &str) -> Status {
    Status::invalid_argument(format!(
        "{field} is missing: every request of this kind must have it"
    ))
}
