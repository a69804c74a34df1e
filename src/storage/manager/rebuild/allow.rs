//! Who may mount a volume follows `--allow` and the cluster's nodes: a new node
//! of a Kubernetes cluster mounts the volumes that are there already.

use std::collections::BTreeSet;

use super::super::Manager;
use crate::storage::agent::api::Command;
use crate::storage::gluster::Volume;

const OPTION: &str = "auth.allow";

/// Sets it if it is another than it should be.
pub(super) async fn follow(manager: &Manager, cluster: &str, volume: &Volume, all_here: bool) {
    let told = volume.options.get(OPTION).map_or("", String::as_str);
    let Some(wanted) = changed(told, manager.allowed(cluster), all_here) else {
        return;
    };
    let set = vec![(OPTION.to_owned(), wanted.clone())];
    let set = Command::Set(volume.name.clone(), set);
    match manager.gluster(cluster, set).await {
        Ok(_) => tracing::info!(
            volume = &*volume.name,
            allowed = wanted,
            "other hosts may mount it now"
        ),
        Err(trouble) => {
            tracing::warn!(volume = &*volume.name, %trouble, "who may mount it cannot be changed yet")
        }
    }
}

/// What the option should be, if that is something else. While a host is away
/// its address may not be known: nobody loses what he has then.
fn changed(told: &str, wanted: Vec<String>, all_here: bool) -> Option<String> {
    let now = told.split(',').map(str::trim).filter(|one| !one.is_empty());
    let now: BTreeSet<String> = now.map(Into::into).collect();
    let mut wanted: BTreeSet<String> = wanted.into_iter().collect();
    if !all_here {
        wanted.extend(now.iter().cloned());
    }
    let list = |wanted: BTreeSet<String>| wanted.into_iter().collect::<Vec<_>>().join(",");
    (wanted != now).then(|| list(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_change_is_set_and_nobody_loses_it_while_a_host_is_away() {
        let wanted = || vec!["b".to_owned(), "a".to_owned()];
        for (told, all_here, expected) in [
            ("a,b", true, None),
            ("b, a", true, None),
            ("a", true, Some("a,b")),
            ("*", true, Some("a,b")),
            ("", true, Some("a,b")),
            ("a,b,c", true, Some("a,b")),
            ("a,b,c", false, None),
            ("a,c", false, Some("a,b,c")),
        ] {
            assert_eq!(
                changed(told, wanted(), all_here).as_deref(),
                expected,
                "{told}"
            );
        }
    }
}
