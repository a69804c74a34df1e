//! Names that CSI suggests, as Gluster takes them (pure).

use ring::digest::{SHA256, digest};
use tonic::Status;

use crate::storage::csi::required;

/// As the names that our own controller gives: Gluster makes file names of
/// host, path and name together.
const LONGEST: usize = 100;

/// The name of a volume or snapshot: always the same for the same suggestion,
/// and different ones for different suggestions.
pub fn plain(field: &str, suggested: &str) -> Result<String, Status> {
    let suggested = required(field, suggested)?;
    let control = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r');
    if suggested.contains(control) {
        return Err(Status::invalid_argument(format!(
            "{field} '{}' has control characters",
            suggested.escape_default()
        )));
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let taken = suggested.len() <= LONGEST
        && suggested.starts_with(|c: char| c.is_ascii_alphanumeric())
        // Else one could suggest what another one's name becomes.
        && !suggested.starts_with(MADE)
        && suggested.chars().all(is_plain);
    if taken {
        return Ok(suggested.to_owned());
    }
    let sum = digest(&SHA256, suggested.as_bytes());
    let hex: String = sum.as_ref()[..16]
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect();
    Ok(format!("{MADE}{hex}"))
}

const MADE: &str = "csi-";

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_provisioner_s_name_stays_and_others_become_one_that_gluster_takes() {
        let pvc = "pvc-11111111-2222-3333-4444-555555555555";
        assert_eq!(plain("name", pvc).expect("plain"), pvc);
        let odd = ["a b", "a.b", "ä", "-a", "csi-a", &"x".repeat(128)];
        let made: HashSet<_> = odd.map(|name| plain("name", name).expect("taken")).into();
        assert_eq!(made.len(), odd.len());
        for name in made {
            assert!(
                name.starts_with(MADE) && name.len() == MADE.len() + 32,
                "{name}"
            );
        }
        for name in ["", "a\u{1}", &"x".repeat(129)] {
            assert!(plain("name", name).is_err());
        }
    }
}
