//! What a Heketi was asked and answered, asked of us: field by field.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::hosts::Hosts;
use super::life::{Done, Life, check};

const RECORDED: &str = include_str!("recorded.txt");

/// One request and its answer.
struct Exchange<'a> {
    method: &'a str,
    path: &'a str,
    body: &'a str,
    status: u16,
    place: &'a str,
    answer: &'a str,
}

fn exchanges() -> impl Iterator<Item = Exchange<'static>> {
    let blocks = RECORDED.split("\n\n").map(|block| {
        let lines = block.lines().filter(|line| !line.starts_with('#'));
        lines.collect::<Vec<_>>()
    });
    blocks.filter(|lines| !lines.is_empty()).map(|lines| {
        let (method, path) = lines[0].split_once(' ').expect("a request");
        let body = lines[1].strip_prefix("> ").unwrap_or_default();
        let told = lines[1..].iter().filter_map(|line| line.strip_prefix("< "));
        let told: Vec<&str> = told.collect();
        let (status, place) = told[0].split_once(' ').unwrap_or((told[0], ""));
        Exchange {
            method,
            path,
            body,
            status: status.parse().expect("a status"),
            place,
            answer: told.get(1).copied().unwrap_or_default(),
        }
    })
}

/// What each `$n` stands for here.
#[derive(Debug, Default)]
struct Ids(BTreeMap<String, String>);

impl Ids {
    /// A text as it is here.
    fn here(&self, text: &str) -> String {
        let mut parts = text.split('$');
        let mut here = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let end = part.find(|c: char| !c.is_ascii_digit());
            let (number, rest) = part.split_at(end.unwrap_or(part.len()));
            let id = self.0.get(number);
            here += id.unwrap_or_else(|| panic!("${number} is not known yet: {text}"));
            here += rest;
        }
        here
    }

    /// Whether a text is this one, where the last `$n` may be new.
    fn is(&mut self, recorded: &str, ours: &str) -> bool {
        if let Some((before, after)) = recorded.split_once('*') {
            return ours.starts_with(&self.here(before)) && ours.ends_with(&self.here(after));
        }
        if let Some((before, number)) = recorded.rsplit_once('$')
            && number.bytes().all(|octet| octet.is_ascii_digit())
            && !self.0.contains_key(number)
        {
            let id = ours.strip_prefix(&self.here(before)).unwrap_or_default();
            let is_id = id.len() == 32 && !self.0.values().any(|known| known == id);
            self.0.insert(number.into(), id.into());
            return is_id;
        }
        ours == self.here(recorded)
    }

    /// What differs, with the way to it.
    fn compare(&mut self, way: &str, recorded: &Value, ours: &Value, wrong: &mut Vec<String>) {
        match (recorded, ours) {
            (Value::String(any), _) if any == "*" => {}
            (Value::Object(recorded), Value::Object(ours)) => {
                let keys: BTreeSet<&String> = recorded.keys().chain(ours.keys()).collect();
                for key in keys {
                    let way = format!("{way}.{key}");
                    match (recorded.get(key), ours.get(key)) {
                        (Some(one), Some(other)) => self.compare(&way, one, other, wrong),
                        (Some(_), None) => wrong.push(format!("{way} is missing")),
                        _ => wrong.push(format!("{way} is ours alone")),
                    }
                }
            }
            (Value::Array(recorded), Value::Array(ours)) => {
                if recorded.len() != ours.len() {
                    wrong.push(format!("{way}: {} and {}", recorded.len(), ours.len()));
                }
                // Ids are in their order, which is another one here; hosts in any.
                let sorted = ["nodes", "volumes", "hosts"];
                if sorted.iter().any(|key| way.ends_with(&format!(".{key}"))) {
                    let texts = recorded.iter().filter_map(Value::as_str);
                    let texts: BTreeSet<String> = texts.map(|text| self.here(text)).collect();
                    let theirs = ours.iter().filter_map(Value::as_str);
                    let theirs: BTreeSet<String> = theirs.map(str::to_owned).collect();
                    if texts != theirs {
                        wrong.push(format!("{way}: {texts:?} and {theirs:?}"));
                    }
                    return;
                }
                for (at, (one, other)) in recorded.iter().zip(ours).enumerate() {
                    self.compare(&format!("{way}[{at}]"), one, other, wrong);
                }
            }
            (Value::String(one), Value::String(other)) => {
                if !self.is(one, other) {
                    wrong.push(format!("{way}: {one:?} and {other:?}"));
                }
            }
            (one, other) if one.as_f64().is_some() && one.as_f64() == other.as_f64() => {}
            (one, other) if one == other => {}
            (one, other) => wrong.push(format!("{way}: {one} and {other}")),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_recorded_session_goes_as_it_went() {
    let hosts = Hosts::new(3, 500);
    let life = Life::settled(&hosts).await;
    let mut ids = Ids::default();
    // All that differs is told, and not the first alone.
    let mut wrong = Vec::new();
    let mut count = 0;
    for asked in exchanges() {
        count += 1;
        let path = ids.here(asked.path);
        let way = format!("{} {}", asked.method, asked.path);
        let done = life
            .run_text(asked.method, &path, &ids.here(asked.body))
            .await;
        let (status, told) = match done {
            Done::At(place) if asked.status == 303 => {
                if !ids.is(asked.place, &place) {
                    wrong.push(format!("{way}: {} and {place}", asked.place));
                }
                continue;
            }
            Done::At(place) => (303, Value::String(place)),
            Done::Answered(value) => (asked.status.clamp(200, 204), value),
            Done::Refused(status, text) => (status, Value::String(text)),
            Done::Died => panic!("{way}: it died"),
        };
        if status != asked.status {
            wrong.push(format!(
                "{way} {}: {} and {status} {told}",
                asked.body, asked.status
            ));
            continue;
        }
        let recorded = match serde_json::from_str(asked.answer) {
            Ok(value) => value,
            Err(_) => Value::String(asked.answer.into()),
        };
        ids.compare(&way, &recorded, &told, &mut wrong);
        let mount = &told["mount"]["glusterfs"];
        if mount.is_object() {
            is_coherent(&told, mount);
        }
        life.look().await;
        check(&hosts, &life, &way);
    }
    assert!(count > 60, "{count}");
    assert!(wrong.is_empty(), "recorded and ours:\n{}", wrong.join("\n"));
}

/// The first host is the device's, and all others are its backups.
#[track_caller]
fn is_coherent(volume: &Value, mount: &Value) {
    let hosts = mount["hosts"].as_array().expect("a list").iter();
    let hosts: Vec<&str> = hosts.filter_map(Value::as_str).collect();
    let name = volume["name"].as_str().expect("a name");
    assert_eq!(mount["device"], format!("{}:{name}", hosts[0]));
    let others = hosts[1..].join(",");
    assert_eq!(mount["options"]["backup-volfile-servers"], others);
}
