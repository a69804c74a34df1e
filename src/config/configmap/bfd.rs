//! `bfd-profiles`: read and kept for the day that sessions use them.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::config::fields::Item;
use crate::config::keys;
use crate::config::model::BfdProfile;
use crate::config::report::Report;
use crate::config::scalar;
use crate::config::tree::Node;

/// Profiles by name.
pub(super) type Profiles = BTreeMap<Arc<str>, BfdProfile>;

/// The list, with unique names.
pub(super) fn profiles(item: &Item, report: &mut Report<'_>) -> Option<Profiles> {
    let mut profiles = Some(Profiles::new());
    let mut places: BTreeMap<Arc<str>, Rc<Node>> = BTreeMap::new();
    for item in item.list(report)? {
        let Some((name, named, profile)) = profile(&item, report) else {
            profiles = None;
            continue;
        };
        if let Some(first) = places.get(&name) {
            let what = "the first profile of this name".to_owned();
            named.clash(
                report,
                "is the name of two profiles",
                "rename one of them",
                (first, what),
            );
            profiles = None;
            continue;
        }
        places.insert(name.clone(), named.node.clone());
        if let Some(profiles) = &mut profiles {
            profiles.insert(name, profile);
        }
    }
    profiles
}

fn profile(item: &Item, report: &mut Report<'_>) -> Option<(Arc<str>, Item, BfdProfile)> {
    let fields = item.fields(report, &keys::BFD_PROFILE)?;
    let name = fields.required(
        report,
        "name",
        "write `name: ` and a name",
        |item, report| Some((Arc::from(scalar::text(item, report)?), item.clone())),
    );
    let mut millis = |key| {
        fields.optional(report, key, |item, report| {
            scalar::number(item, report, 10u32, 60_000)
        })
    };
    let receive_interval = millis("receive-interval");
    let transmit_interval = millis("transmit-interval");
    let echo_interval = millis("echo-interval");
    let detect_multiplier = fields.optional(report, "detect-multiplier", |item, report| {
        scalar::number(item, report, 2u8, 255)
    });
    let minimum_ttl = fields.optional(report, "minimum-ttl", |item, report| {
        scalar::number(item, report, 1u8, 254)
    });
    let echo_mode = fields.optional(report, "echo-mode", scalar::boolean);
    let passive_mode = fields.optional(report, "passive-mode", scalar::boolean);
    let (name, named) = name?;
    let profile = BfdProfile {
        receive_interval: receive_interval?,
        transmit_interval: transmit_interval?,
        detect_multiplier: detect_multiplier?,
        echo_interval: echo_interval?,
        echo_mode: echo_mode?.unwrap_or_default(),
        passive_mode: passive_mode?.unwrap_or_default(),
        minimum_ttl: minimum_ttl?,
    };
    Some((name, named, profile))
}
