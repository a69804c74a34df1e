//! A [`StatusWrite`] as a strategic merge patch of `services/status`. Pure.
//!
//! `metadata.uid` and `metadata.resourceVersion` stand in the patch as
//! preconditions: a Service that was re-created or changed refuses it.
//! `status.loadBalancer.ingress` is an atomic list and is replaced whole;
//! `status.conditions` merges by `type`, so other people's conditions stay.
//! The API server takes changes of annotations through the status subresource.

use serde_json::{Map, Value, json};

use crate::k8s::objects::{ALLOCATED, ORPHAN_ATTRIBUTES, REASSIGN};
use crate::lb::status::StatusWrite;

/// The patch. `stands`: the status of our condition in the Service as it is,
/// if it has one; only when it changes does `today`, an RFC 3339 time, become
/// lastTransitionTime. Left out, the old time stays, since conditions merge.
pub(super) fn body(write: &StatusWrite, stands: Option<bool>, today: &str) -> Value {
    let mut metadata = Map::new();
    metadata.insert("uid".into(), json!(write.uid));
    metadata.insert("resourceVersion".into(), json!(write.resource_version));
    let annotations = annotations(write);
    if !annotations.is_empty() {
        metadata.insert("annotations".into(), annotations.into());
    }
    let mut status = Map::new();
    if let Some(addresses) = &write.ingress {
        let entries: Vec<Value> = addresses
            .iter()
            .map(|ip| json!({"ip": ip, "ipMode": "VIP"}))
            .collect();
        // null takes the field away, and with it our name in managedFields.
        let entries = if entries.is_empty() {
            Value::Null
        } else {
            entries.into()
        };
        status.insert("loadBalancer".into(), json!({ "ingress": entries }));
    }
    if let Some(condition) = condition(write, stands, today) {
        status.insert("conditions".into(), json!([condition]));
    }
    let mut patch = Map::new();
    patch.insert("metadata".into(), metadata.into());
    if !status.is_empty() {
        patch.insert("status".into(), status.into());
    }
    patch.into()
}

fn annotations(write: &StatusWrite) -> Map<String, Value> {
    let mut annotations = Map::new();
    if let Some(attributes) = &write.orphan_attributes {
        annotations.insert(ORPHAN_ATTRIBUTES.into(), json!(attributes));
    }
    if write.clear_reassign {
        annotations.insert(REASSIGN.into(), Value::Null);
    }
    annotations
}

fn condition(write: &StatusWrite, stands: Option<bool>, today: &str) -> Option<Value> {
    if write.drop_condition {
        return Some(json!({"$patch": "delete", "type": ALLOCATED}));
    }
    let wanted = write.condition.as_ref()?;
    let mut condition = json!({
        "type": ALLOCATED,
        "status": if wanted.status { "True" } else { "False" },
        "reason": wanted.reason,
        "message": wanted.message,
    });
    if stands != Some(wanted.status) {
        condition["lastTransitionTime"] = json!(today);
    }
    Some(condition)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{ConditionFact, ServiceKey};

    fn write() -> StatusWrite {
        StatusWrite {
            key: ServiceKey::new("default", "web"),
            uid: "u1".into(),
            resource_version: "7".into(),
            ingress: None,
            condition: None,
            drop_condition: false,
            orphan_attributes: None,
            clear_reassign: false,
        }
    }

    fn condition_fact(status: bool) -> Option<ConditionFact> {
        Some(ConditionFact {
            status,
            reason: "InPool".into(),
            message: "public-pool".into(),
        })
    }

    const PRECONDITIONS: &str = r#"{"resourceVersion":"7","uid":"u1"}"#;

    #[test]
    fn a_new_allocation_sets_address_condition_and_time() {
        let write = StatusWrite {
            ingress: Some(vec!["1.2.3.4".parse().unwrap(), "fd00::4".parse().unwrap()]),
            condition: condition_fact(true),
            ..write()
        };
        assert_eq!(
            body(&write, None, "2026-01-01T00:00:00Z"),
            json!({
                "metadata": {"uid": "u1", "resourceVersion": "7"},
                "status": {
                    "loadBalancer": {"ingress": [{"ip": "1.2.3.4", "ipMode": "VIP"}, {"ip": "fd00::4", "ipMode": "VIP"}]},
                    "conditions": [{
                        "type": "loods.io/Allocated", "status": "True", "reason": "InPool",
                        "message": "public-pool", "lastTransitionTime": "2026-01-01T00:00:00Z",
                    }],
                },
            })
        );
    }

    #[test]
    fn the_time_moves_only_with_the_status() {
        let write = StatusWrite {
            condition: condition_fact(true),
            ..write()
        };
        let time = |stands| {
            body(&write, stands, "now")["status"]["conditions"][0]
                .get("lastTransitionTime")
                .cloned()
        };
        assert_eq!(time(Some(true)), None);
        assert_eq!(time(Some(false)), Some(json!("now")));
        assert_eq!(time(None), Some(json!("now")));
    }

    #[test]
    fn nothing_wanted_is_nothing_written() {
        let text = body(&write(), None, "now").to_string();
        assert_eq!(text, format!(r#"{{"metadata":{PRECONDITIONS}}}"#));
    }

    #[test]
    fn all_of_ours_can_be_taken_away() {
        let write = StatusWrite {
            ingress: Some(vec![]),
            drop_condition: true,
            orphan_attributes: Some(None),
            clear_reassign: true,
            ..write()
        };
        let patch = body(&write, Some(true), "now");
        assert_eq!(patch["status"]["loadBalancer"], json!({"ingress": null}));
        assert_eq!(
            patch["status"]["conditions"],
            json!([{"$patch": "delete", "type": "loods.io/Allocated"}])
        );
        assert_eq!(
            patch["metadata"]["annotations"],
            json!({"loods.io/orphan-attributes": null, "loods.io/reassign": null})
        );
    }

    #[test]
    fn orphan_attributes_are_set_as_given() {
        let write = StatusWrite {
            orphan_attributes: Some(Some("lp=100".into())),
            ..write()
        };
        assert_eq!(
            body(&write, None, "")["metadata"]["annotations"],
            json!({"loods.io/orphan-attributes": "lp=100"})
        );
    }
}
