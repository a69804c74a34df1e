use std::fs;
use std::path::PathBuf;

use super::*;

/// A directory of its own, gone at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("loods-files-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).expect("a scratch directory");
        Self(dir)
    }

    fn write(&self, file: &str, text: &str) {
        // As editors do: a new file, moved over the old one.
        let new = self.0.join(".new");
        fs::write(&new, text).expect("written");
        fs::rename(new, self.0.join(file)).expect("moved");
    }

    fn open(&self) -> Files {
        Files::open(&self.0, "n1".into()).expect("a usable directory")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn service(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{type: LoadBalancer}}\n"
    )
}

fn web() -> Name {
    Name::new(Kind::Service, "default", "web")
}

fn names(store: &Store) -> Vec<String> {
    let kinds = Kind::ALL.into_iter().flat_map(|kind| store.all(kind));
    kinds
        .filter_map(|object| Some(Name::of(&object).ok()?.to_string()))
        .collect()
}

/// Waits until the store holds these and no others.
async fn holds(store: &Store, wanted: &[&str]) {
    let mut changes = store.changes();
    let limit = std::time::Duration::from_secs(20);
    let done = tokio::time::timeout(limit, async {
        while names(store) != wanted {
            changes.changed().await.expect("the store lives");
        }
    });
    assert!(
        done.await.is_ok(),
        "wanted {wanted:?}, holds {:?}",
        names(store)
    );
}

#[tokio::test]
async fn files_come_change_and_go() {
    let scratch = Scratch::new("follow");
    scratch.write("web.yaml", &service("web"));
    scratch.write("notes.txt", "not ours");
    let files = scratch.open();
    let (store, stop) = (files.store().clone(), CancellationToken::new());
    let run = tokio::spawn(files.run(stop.clone()));
    holds(&store, &["Node n1", "Service default/web"]).await;
    scratch.write(
        "web.yaml",
        &format!("{}---\n{}", service("web"), service("mail")),
    );
    holds(
        &store,
        &["Node n1", "Service default/mail", "Service default/web"],
    )
    .await;
    // Broken, empty, and of a kind that is none of ours: what is known stays.
    scratch.write("web.yaml", "kind: [");
    scratch.write("mail.yaml", "");
    scratch.write(
        "pod.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n",
    );
    scratch.write(
        "node.yaml",
        "apiVersion: v1\nkind: Node\nmetadata: {name: n2}\n",
    );
    let all = [
        "Node n1",
        "Node n2",
        "Service default/mail",
        "Service default/web",
    ];
    holds(&store, &all).await;
    fs::remove_file(scratch.0.join("web.yaml")).expect("removed");
    holds(&store, &["Node n1", "Node n2"]).await;
    stop.cancel();
    run.await.expect("it ends");
}

#[tokio::test]
async fn what_was_decided_outlives_the_process() {
    let scratch = Scratch::new("outlives");
    scratch.write("web.yaml", &service("web"));
    let status = json!({"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}});
    let first = scratch.open();
    let store = first.store().clone();
    let before = store.get(&web()).expect("there");
    let mut decided = (*before).clone();
    decided["status"] = status.clone();
    decided["metadata"]["annotations"] = json!({"loods.io/orphan-attributes": "lp=5"});
    store.apply(decided).expect("a Service");
    let copy = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "metallb-system", "name": "loods-last-good"}, "data": {"config": "peers: []"}});
    store.apply(copy).expect("a ConfigMap");

    let taken = Files::open(&scratch.0, "n1".into()).err().expect("in use");
    assert!(taken.to_string().contains("another process"), "{taken}");
    let stop = CancellationToken::new();
    stop.cancel();
    first.run(stop).await;

    // An address that somebody had, and whose Service is gone meanwhile.
    scratch.write(".status/default.old.yaml", &service("old"));
    let again = scratch.open();
    let after = again.store().get(&web()).expect("there");
    assert_eq!(after["status"], status);
    assert_eq!(after["metadata"]["uid"], before["metadata"]["uid"]);
    assert_eq!(
        after["metadata"]["annotations"]["loods.io/orphan-attributes"],
        "lp=5"
    );
    let copy = Name::new(Kind::ConfigMap, "metallb-system", "loods-last-good");
    assert_eq!(
        again.store().get(&copy).expect("there")["data"]["config"],
        "peers: []"
    );
    // Changed by its owner: the status stays; taken away: the status goes.
    let stop = CancellationToken::new();
    let store = again.store().clone();
    let run = tokio::spawn(again.run(stop.clone()));
    scratch.write(
        "web.yaml",
        &service("web").replace("{type", "{ports: [{port: 81}], type"),
    );
    let mut changes = store.changes();
    while store
        .get(&web())
        .expect("there")
        .pointer("/spec/ports")
        .is_none()
    {
        changes.changed().await.expect("the store lives");
    }
    assert_eq!(store.get(&web()).expect("there")["status"], status);
    fs::remove_file(scratch.0.join("web.yaml")).expect("removed");
    holds(
        &store,
        &["ConfigMap metallb-system/loods-last-good", "Node n1"],
    )
    .await;
    stop.cancel();
    run.await.expect("it ends");
    let mut left: Vec<_> = fs::read_dir(scratch.0.join(".status"))
        .expect("a folder")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .collect();
    left.sort();
    assert_eq!(
        left,
        ["lock", "metallb-system.loods-last-good.configmap.yaml"]
    );
}

#[tokio::test]
async fn an_object_in_two_files_is_the_first_ones() {
    let scratch = Scratch::new("twice");
    scratch.write(
        "a.yaml",
        &service("web").replace("{type", "{ports: [{port: 1}], type"),
    );
    scratch.write("b.yaml", &service("web"));
    let files = scratch.open();
    let web = files.store().get(&web()).expect("there");
    assert_eq!(web["spec"]["ports"][0]["port"], 1);
}

#[tokio::test]
async fn a_directory_that_is_none_is_named() {
    let error = Files::open(Path::new("/no/such"), "n1".into())
        .err()
        .expect("no directory");
    assert!(error.to_string().contains("--files /no/such"), "{error}");
}
