//! What a volume is called in Gluster.
//!
//! Always the same for the same claim, and told to Heketi: by its name a
//! volume is found again when the answer to its making was lost.
//!
//! Gluster takes letters, digits, `-` and `_`, and 251 bytes. But it also makes
//! file names of the volume's name, a host's name and a brick's path, together
//! at most 255 bytes: with Heketi's paths (104 bytes) and a host name of 40
//! some 105 are left. So a name has at most 100 bytes. What is cut is the part
//! for people; the claim's uid, which makes it unique, stays whole.

use super::fault::{Faults, quoted};

/// Bytes of a volume's name.
const LONGEST: usize = 100;
/// Bytes of parameter `volumenameprefix`: with a uid at least 22 are left for
/// namespace and claim.
pub(super) const LONGEST_PREFIX: usize = 40;

/// `pvc-UID`, or `PREFIX_NAMESPACE_CLAIM_UID`.
pub fn volume_name(prefix: Option<&str>, namespace: &str, claim: &str, uid: &str) -> String {
    let Some(prefix) = prefix else {
        return plain(&format!("pvc-{uid}"));
    };
    let room = LONGEST.saturating_sub(prefix.len() + uid.len() + 2);
    let mut middle = plain(&format!("{namespace}_{claim}"));
    // All of it is ASCII by now.
    middle.truncate(room);
    plain(&format!("{prefix}_{middle}_{uid}"))
}

/// A claim's name may have dots, which Gluster refuses.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            c if c.is_ascii_alphanumeric() || c == '_' => c,
            _ => '-',
        })
        .collect()
}

/// Parameter `volumenameprefix`.
pub(super) fn prefix(value: &str, faults: &mut Faults) -> Option<Box<str>> {
    const FIELD: &str = "volumenameprefix";
    if value.is_empty() {
        return None;
    }
    if value.contains('_') {
        faults.add(FIELD, format!(
            "Storageclass parameter 'volumenameprefix' should not contain '_' in its value: {} does; '_' parts prefix, namespace, claim and uid; write '-'",
            quoted(value)
        ));
    } else if !value
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    {
        faults.add(FIELD, format!(
            "volumenameprefix {}: Gluster takes letters, digits and '-' in a volume's name; write those",
            quoted(value)
        ));
    } else if value.starts_with('-') {
        faults.add(FIELD, format!(
            "volumenameprefix {}: with '-' in front the name would be an option of the gluster program; begin with a letter or digit",
            quoted(value)
        ));
    } else if value.len() > LONGEST_PREFIX {
        faults.add(FIELD, format!(
            "volumenameprefix {}: {} bytes leave no room for namespace, claim and uid; at most {LONGEST_PREFIX} are taken",
            quoted(value),
            value.len()
        ));
    }
    Some(value.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UID: &str = "03c57d35-afc8-4b62-8495-7c9ae4557f17";

    #[test]
    fn names_tell_the_claim() {
        assert_eq!(
            volume_name(None, "default", "website-uploads", UID),
            format!("pvc-{UID}")
        );
        assert_eq!(
            volume_name(Some("dept"), "default", "www.site", UID),
            format!("dept_default_www-site_{UID}")
        );
        let long = volume_name(Some("p"), &"n".repeat(63), &"c".repeat(253), UID);
        assert_eq!(long.len(), LONGEST);
        assert!(
            long.starts_with("p_nnn") && long.ends_with(&format!("n_{UID}")),
            "{long}"
        );
    }

    proptest! {
        #[test]
        fn a_name_is_one_that_gluster_takes(
            prefix in proptest::option::of("[a-zA-Z0-9][a-zA-Z0-9-]{0,39}"),
            namespace in "[a-z0-9-]{1,63}",
            claim in "[a-z0-9.-]{1,253}",
        ) {
            let name = volume_name(prefix.as_deref(), &namespace, &claim, UID);
            prop_assert!(name.len() <= LONGEST, "{}", name);
            prop_assert!(name.contains(UID));
            prop_assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
            let other = volume_name(prefix.as_deref(), &namespace, &claim, &UID.replace('0', "1"));
            prop_assert_ne!(name, other);
        }
    }
}
