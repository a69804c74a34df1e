//! Patches, as far as Loods sends them: a strategic merge of a Service, in
//! which conditions merge by `type` and every other list is replaced, and a
//! server-side apply of an object of which Loods owns all. Pure.

use serde_json::{Map, Value};

/// The list that merges by a key.
const CONDITIONS: &str = "conditions";

/// Merges `patch` into `object`: null takes a field away.
pub(super) fn merge(object: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *object = patch.clone();
        return;
    };
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    let Value::Object(fields) = object else {
        return;
    };
    for (key, value) in patch {
        match value {
            Value::Null => {
                fields.remove(key);
            }
            Value::Array(entries) if key == CONDITIONS => {
                let list = fields
                    .entry(key)
                    .or_insert_with(|| Value::Array(Vec::new()));
                if let Value::Array(list) = list {
                    merge_by_type(list, entries);
                }
            }
            _ => merge(fields.entry(key).or_insert(Value::Null), value),
        }
    }
}

fn merge_by_type(list: &mut Vec<Value>, entries: &[Value]) {
    for entry in entries {
        let place = list.iter().position(|held| held["type"] == entry["type"]);
        match (entry["$patch"].as_str(), place) {
            (Some("delete"), Some(place)) => {
                list.remove(place);
            }
            (Some("delete"), None) => {}
            (_, Some(place)) => merge(&mut list[place], entry),
            (_, None) => list.push(entry.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn merged(mut object: Value, patch: Value) -> Value {
        merge(&mut object, &patch);
        object
    }

    #[test]
    fn fields_merge_null_removes_and_lists_are_replaced() {
        let object = json!({"a": {"b": 1, "c": 2}, "list": [1, 2]});
        let patch = json!({"a": {"b": null, "d": 3}, "list": [3]});
        assert_eq!(
            merged(object, patch),
            json!({"a": {"c": 2, "d": 3}, "list": [3]})
        );
    }

    #[test]
    fn conditions_merge_by_type() {
        let object = json!({"conditions": [{"type": "X", "status": "True"}, {"type": "Y", "status": "True", "since": "t"}]});
        let patch = json!({"conditions": [{"type": "Y", "status": "False"}, {"type": "Z"}, {"$patch": "delete", "type": "X"}, {"$patch": "delete", "type": "no"}]});
        assert_eq!(
            merged(object, patch),
            json!({"conditions": [{"type": "Y", "status": "False", "since": "t"}, {"type": "Z"}]})
        );
    }
}
