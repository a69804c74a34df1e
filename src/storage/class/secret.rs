//! The Secret that a class names: which of its entries is the key.

use std::collections::BTreeMap;

use super::SecretName;
use crate::storage::IN_TREE;

/// The key of a Secret of this type with these entries, as the removed plugin
/// chose it: the entry `key`, or else the last there is.
///
/// # Errors
/// What is wrong with it, in a sentence; no entry is ever quoted.
pub fn key_of<'a>(
    name: &SecretName,
    kind: &str,
    entries: &'a BTreeMap<Box<str>, Vec<u8>>,
) -> Result<&'a [u8], Box<str>> {
    if kind != IN_TREE {
        return Err(format!(
            "cannot get secret of type {IN_TREE}: Secret {name} has type {kind:?}. A type cannot be changed: delete it and make it again with `type: {IN_TREE}`"
        )
        .into());
    }
    let entry = entries.get("key").or_else(|| entries.values().next_back());
    match entry {
        None => Err(format!(
            "Secret {name} has no entries; give it `key`, with the admin key of Heketi"
        )
        .into()),
        Some(key) if key.is_empty() => Err(format!(
            "Secret {name} has an empty key; put the admin key of Heketi into its entry `key`"
        )
        .into()),
        Some(key) => Ok(key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kind: &str, entries: &[(&str, &str)]) -> Result<String, String> {
        let name = SecretName {
            namespace: "kube-system".into(),
            name: "heketi-secret".into(),
        };
        let entries: BTreeMap<Box<str>, Vec<u8>> = entries
            .iter()
            .map(|(key, value)| ((*key).into(), value.as_bytes().to_vec()))
            .collect();
        key_of(&name, kind, &entries)
            .map(|key| String::from_utf8_lossy(key).into_owned())
            .map_err(|trouble| trouble.to_string())
    }

    #[test]
    fn the_entry_key_wins_and_else_the_last() {
        assert_eq!(
            key(IN_TREE, &[("a", "1"), ("key", "2"), ("z", "3")]),
            Ok("2".into())
        );
        assert_eq!(key(IN_TREE, &[("a", "1"), ("z", "3")]), Ok("3".into()));
    }

    #[test]
    fn what_is_wrong_is_said_without_the_key() {
        let opaque = key("Opaque", &[("key", "hush")]).expect_err("another type");
        assert!(
            opaque.starts_with("cannot get secret of type kubernetes.io/glusterfs"),
            "{opaque}"
        );
        assert!(
            opaque.contains("kube-system/heketi-secret") && !opaque.contains("hush"),
            "{opaque}"
        );
        assert!(key(IN_TREE, &[]).expect_err("empty").contains("no entries"));
        assert!(
            key(IN_TREE, &[("key", "")])
                .expect_err("empty")
                .contains("empty key")
        );
    }
}
