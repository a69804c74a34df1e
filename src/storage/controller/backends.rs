//! Clients of Heketi, one for each that a class or PV names, and their keys.
//!
//! A Secret is read for each step anew: by name, since our account sees no
//! other way, and so a key that was changed is used at once.

use std::sync::{Mutex, PoisonError};

use super::hands::lasting;
use crate::k8s::client::ApiError;
use crate::k8s::volumes::{Calls, SecretFact};
use crate::storage::class::{Auth, SecretName, USER};
use crate::storage::heketi::client::{Credentials, Heketi, Limits, Trust};
use crate::storage::provision::{Failure, Target};

/// The type that the removed plugin wanted.
const KIND: &str = "kubernetes.io/glusterfs";
/// The entry with the key.
const ENTRY: &str = "key";
/// Clients that are kept.
const MOST: usize = 64;

/// A client, and what may be wrong with its key.
pub(super) struct Open {
    pub(super) client: Heketi,
    pub(super) key_ends_in_a_line_break: bool,
}

/// A client that was made with this key.
struct Kept {
    target: Target,
    key: Vec<u8>,
    client: Heketi,
}

pub(super) struct Backends {
    calls: Calls,
    trust: Trust,
    limits: Limits,
    kept: Mutex<Vec<Kept>>,
}

impl Backends {
    pub(super) fn new(calls: Calls, trust: Trust, limits: Limits) -> Self {
        Self {
            calls,
            trust,
            limits,
            kept: Mutex::default(),
        }
    }

    /// A client of this Heketi, with the key of now.
    pub(super) async fn open(&self, target: &Target) -> Result<Open, Failure> {
        let key = match &target.auth {
            Auth::None => Vec::new(),
            Auth::Key(key) => key.expose().as_bytes().to_vec(),
            Auth::Secret(name) => {
                let secret = self.calls.secret(&name.namespace, &name.name).await;
                secret
                    .map_err(|error| unread(name, &error))
                    .and_then(|secret| key_of(name, &secret).map_err(lasting))?
            }
        };
        let key_ends_in_a_line_break = key.ends_with(b"\n");
        let client = self.client(target, key)?;
        Ok(Open {
            client,
            key_ends_in_a_line_break,
        })
    }

    /// Kept clients share connections, and know volumes by name.
    fn client(&self, target: &Target, key: Vec<u8>) -> Result<Heketi, Failure> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept
            .iter()
            .find(|kept| kept.target == *target && kept.key == key)
        {
            return Ok(known.client.clone());
        }
        let credentials = match &target.auth {
            Auth::None => None,
            _ => Some(Credentials::new(USER, &key).map_err(|error| lasting(error.to_string()))?),
        };
        let client = Heketi::new(&target.url, credentials, &self.trust, self.limits)
            .map_err(|error| lasting(error.to_string()))?;
        kept.retain(|kept| kept.target != *target);
        if kept.len() >= MOST {
            kept.remove(0);
        }
        kept.push(Kept {
            target: target.clone(),
            key,
            client: client.clone(),
        });
        Ok(client)
    }
}

/// The key in a Secret: under `key`, else the last entry, as the removed plugin
/// had it.
fn key_of(name: &SecretName, secret: &SecretFact) -> Result<Vec<u8>, String> {
    if &*secret.kind != KIND {
        return Err(format!(
            "cannot get secret of type {KIND}: Secret {name} is of type {:?}, which cannot be changed; delete it and make it anew with type: {KIND}",
            secret.kind
        ));
    }
    let entry = secret.entries.get(ENTRY);
    match entry.or_else(|| secret.entries.values().next_back()) {
        Some(key) if !key.is_empty() => Ok(key.clone()),
        Some(_) => Err(format!(
            "Secret {name} has an empty entry {ENTRY}; put Heketi's admin key into it"
        )),
        None => Err(format!(
            "Secret {name} has no entries; put Heketi's admin key into entry {ENTRY}"
        )),
    }
}

fn unread(name: &SecretName, error: &ApiError) -> Failure {
    let text = match error.code() {
        Some(404) => format!(
            "Secret {name} is not there; create it, of type {KIND}, with Heketi's admin key in entry {ENTRY}"
        ),
        Some(403) => format!(
            "Secret {name} may not be read by this controller: name it in Role loods-storage-secrets of namespace {} (manifests/storage.yaml has one for kube-system/heketi-secret). {error}",
            name.namespace
        ),
        _ => format!("Secret {name}: {error}"),
    };
    Failure {
        text: text.into(),
        nothing_done: true,
        // It is there as soon as somebody makes it, and nothing tells us.
        lasting: false,
        after: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(kind: &str, entries: &[(&str, &str)]) -> Result<Vec<u8>, String> {
        let name = SecretName {
            namespace: "n".into(),
            name: "s".into(),
        };
        let entries = entries
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()));
        let secret = SecretFact {
            kind: kind.into(),
            entries: entries.collect(),
        };
        key_of(&name, &secret)
    }

    #[test]
    fn the_key_of_a_secret() {
        assert_eq!(secret(KIND, &[("key", "k"), ("z", "x")]), Ok(b"k".into()));
        assert_eq!(secret(KIND, &[("a", "k"), ("b", "l")]), Ok(b"l".into()));
        for (kind, entries, words) in [
            (
                "Opaque",
                &[("key", "hush")][..],
                "cannot get secret of type kubernetes.io/glusterfs: Secret n/s is of type \"Opaque\"",
            ),
            (KIND, &[("key", "")], "empty entry"),
            (KIND, &[], "no entries"),
        ] {
            let error = secret(kind, entries).unwrap_err();
            assert!(error.contains(words) && !error.contains("hush"), "{error}");
        }
    }
}
