use std::time::Duration;

use serde_json::json;
use tokio::sync::mpsc;

use super::*;
use crate::facts::Event;
use crate::k8s::objects::Services;
use crate::k8s::{Counters, lastgood, list, watch};

pub(super) fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
    })
}

/// What a watch of Services tells, a word each.
pub(super) fn watched(store: &Store) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(64);
    let options = watch::Options {
        spread: Duration::ZERO,
        counters: Arc::new(Counters::default()),
    };
    tokio::spawn(watch::run(
        store.client(),
        Services,
        options,
        sender,
        |event| match event {
            Event::Rewound => "rewound".to_owned(),
            Event::Begin => "begin".to_owned(),
            Event::Apply(fact) => format!("apply {} {}", fact.key, fact.ingress.len()),
            Event::Delete(key, _) => format!("delete {key}"),
            Event::End => "end".to_owned(),
        },
    ));
    receiver
}

pub(super) async fn next(told: &mut mpsc::Receiver<String>, count: usize) -> Vec<String> {
    let mut words = Vec::new();
    for _ in 0..count {
        words.push(told.recv().await.expect("the watch goes on"));
    }
    words
}

#[tokio::test(start_paused = true)]
async fn the_daemons_watch_sees_what_happens_in_order() {
    let store = Store::default();
    store.apply(service("a")).expect("a Service");
    let mut told = watched(&store);
    assert_eq!(
        next(&mut told, 3).await,
        ["begin", "apply default/a 0", "end"]
    );
    let b = store.apply(service("b")).expect("a Service");
    // Neither the same again nor another type is news.
    store.apply(service("b")).expect("a Service");
    let mut other = service("c");
    other["spec"]["type"] = json!("ClusterIP");
    store.apply(other).expect("a Service");
    store.delete(&b);
    let mut gone = service("a");
    gone["spec"]["type"] = json!("ClusterIP");
    store.apply(gone).expect("a Service");
    assert_eq!(
        next(&mut told, 3).await,
        ["apply default/b 0", "delete default/b", "delete default/a"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_frozen_watch_sees_everything_when_it_thaws() {
    let store = Store::default();
    let mut told = watched(&store);
    next(&mut told, 2).await;
    store.set_faults(Faults {
        watch: Fault::Lose,
        ..Faults::default()
    });
    store.apply(service("a")).expect("a Service");
    let quiet = tokio::time::timeout(Duration::from_secs(30), told.recv()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    store.set_faults(Faults::default());
    assert_eq!(next(&mut told, 1).await, ["apply default/a 0"]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_too_far_behind_lists_again() {
    let store = Store::default();
    let mut told = watched(&store);
    next(&mut told, 2).await;
    for n in 0..=HISTORY {
        let mut object = service("a");
        object["spec"]["ports"][0]["port"] = json!(n % 60_000 + 1);
        store.apply(object).expect("a Service");
    }
    assert_eq!(
        next(&mut told, 3).await,
        ["begin", "apply default/a 0", "end"]
    );
}

#[tokio::test]
async fn the_last_good_copy_is_written_and_read_back() {
    let store = Store::default();
    let client = store.client();
    assert_eq!(lastgood::read(&client, "ns").await, Ok(None));
    for text in ["peers: []", "address-pools: []"] {
        lastgood::write(&client, "ns", text).await.expect("written");
        let copy = lastgood::read(&client, "ns").await.expect("read");
        assert_eq!(copy.expect("there").text.as_deref(), Some(text));
    }
    assert_eq!(list::count_nodes(&client, 5).await, Ok(0));
}

#[test]
fn an_object_keeps_status_uid_and_age_and_what_is_none_is_refused() {
    let store = Store::default();
    let mut first = service("a");
    first["status"] = json!({"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}});
    let name = store.apply(first).expect("a Service");
    let before = store.get(&name).expect("there");
    let mut changed = service("a");
    changed["spec"]["ports"][0]["port"] = json!(81);
    store.apply(changed).expect("a Service");
    let after = store.get(&name).expect("there");
    for path in ["/status", "/metadata/uid", "/metadata/creationTimestamp"] {
        assert_eq!(before.pointer(path), after.pointer(path), "{path}");
    }
    assert_eq!(after.pointer("/spec/ipFamilies"), Some(&json!(["IPv4"])));
    assert_ne!(
        before.pointer("/metadata/resourceVersion"),
        after.pointer("/metadata/resourceVersion")
    );

    let refused = |object| store.apply(object).expect_err("refused").to_string();
    assert!(refused(json!([])).contains("no kind"));
    assert!(refused(json!({"kind": "Service", "apiVersion": "v1"})).contains("metadata.name"));
    assert!(refused(json!({"kind": "Pod", "apiVersion": "v1"})).contains("Pod"));
}

#[test]
fn a_name_is_one_that_an_api_server_would_take() {
    let named = |kind: &str, namespace: &str, name: &str| {
        let metadata = json!({"namespace": namespace, "name": name});
        Name::of(&json!({"kind": kind, "apiVersion": "v1", "metadata": metadata}))
    };
    let long = "x".repeat(64);
    for (namespace, name) in [
        ("a.b", "c"),
        ("a", "b.c"),
        ("../a", "b"),
        ("a", "b/c"),
        ("a", "b c"),
        ("-a", "b"),
        ("a", &long),
    ] {
        let refused = named("Service", namespace, name).expect_err(name);
        assert!(refused.to_string().contains(name), "{refused}");
    }
    let good = named("Service", "", "web").expect("no namespace is default");
    assert_eq!(&*good.namespace, "default");
    named("ConfigMap", "metallb-system", "kube-root-ca.crt").expect("dots");
    named("Node", "", "My_Machine.lan").expect("a host name");
    named("Node", "", "../x").expect_err("a path");
}

#[test]
fn what_would_not_decode_is_refused_by_name_and_without_secrets() {
    let mut bad = service("a");
    bad["spec"]["ports"] = json!("eighty");
    let refused = Store::check(&bad).expect_err("no list").to_string();
    assert!(
        refused.contains("Service default/a") && !refused.contains("line"),
        "{refused}"
    );
    let secret = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": ["hush"]});
    let refused = Store::check(&secret).expect_err("no map").to_string();
    assert!(
        refused.contains("ConfigMap default/c") && !refused.contains("hush"),
        "{refused}"
    );
    let slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": "s"}, "addressType": "IPv4", "endpoints": 5});
    Store::check(&slice).expect_err("no list");
    let node =
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n", "labels": ["x"]}});
    Store::check(&node).expect_err("no map");
    Store::check(&service("a")).expect("a good one");
}

#[test]
fn an_object_made_anew_is_another_one() {
    let store = Store::default();
    let uid = |name: &Name| store.get(name).expect("there")["metadata"]["uid"].clone();
    let name = store.apply(service("a")).expect("a Service");
    let first = uid(&name);
    store.delete(&name);
    store.apply(service("a")).expect("a Service");
    assert_ne!(uid(&name), first);
}

#[test]
fn null_is_as_good_as_nothing() {
    // What `kubectl create --dry-run=client -o yaml` writes.
    let store = Store::default();
    let mut object = service("a");
    object["metadata"]["creationTimestamp"] = Value::Null;
    object["status"] = Value::Null;
    let name = store.apply(object).expect("a Service");
    let held = store.get(&name).expect("there");
    assert!(held["metadata"]["creationTimestamp"].is_string(), "{held}");
}

#[test]
fn a_patch_holds_to_its_preconditions() {
    let store = Store::default();
    let name = store.apply(service("a")).expect("a Service");
    let code = |patch: Value| store.patch_code(&name, &patch);
    assert_eq!(code(json!({"metadata": {"resourceVersion": "7"}})), 409);
    assert_eq!(code(json!({"metadata": {"uid": "other"}})), 409);
    assert_eq!(
        code(json!({"metadata": {"resourceVersion": "1"}, "status": {"x": 1}})),
        200
    );
    assert_eq!(store.get(&name).expect("there")["status"], json!({"x": 1}));
    assert_eq!(
        store.patch_code(&Name::new(Kind::Service, "default", "no"), &json!({})),
        404
    );
}

impl Store {
    fn patch_code(&self, name: &Name, patch: &Value) -> u16 {
        serve::patch_code(self, name, patch)
    }
}
