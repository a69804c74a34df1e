//! How an orphan's address was announced while its pool was still there: the
//! text of annotation `loods.io/orphan-attributes`.

use crate::bgp::types::{Attributes, Prefix};

/// The routes that the text records. `None` when it cannot be read.
pub fn parse(_text: &str) -> Option<Vec<(Prefix, Attributes)>> {
    None
}
