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
        [
            "files",
            "lock",
            "metallb-system.loods-last-good.configmap.yaml"
        ]
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

/// A Service with a status as the allocator writes it: one that is deleted and
/// made anew has none.
fn decide(files: &Files, name: &Name) {
    let mut object = (*files.store.get(name).expect("there")).clone();
    object["status"] = json!({"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}});
    files.store.apply(object).expect("a Service");
}

/// Hears until a file of this name is told of, that event included.
async fn hear_until(files: &mut Files, name: &str) {
    while hear_next(files).await.as_deref() != Some(OsStr::new(name)) {}
}

async fn hear_next(files: &mut Files) -> Option<OsString> {
    let limit = Duration::from_secs(20);
    let event = tokio::time::timeout(limit, files.heard.next()).await;
    let event = event.expect("an event").expect("a stream").expect("whole");
    eprintln!("EV {event:?}");
    files.hear(&event);
    event.name
}

fn is_decided(files: &Files) -> bool {
    let web = files.store.get(&web());
    web.is_some_and(|web| web.pointer("/status/loadBalancer/ingress/0/ip").is_some())
}

#[tokio::test]
async fn an_editors_backup_and_a_rename_take_nothing_away() {
    let scratch = Scratch::new("backup");
    scratch.write("web.yaml", &service("web"));
    let mut files = scratch.open();
    decide(&files, &web());
    let at = |file: &str| scratch.0.join(file);
    // vim: the old file becomes the backup, a new one is written, the backup goes.
    fs::rename(at("web.yaml"), at("web.yaml~")).expect("moved");
    fs::write(at("web.yaml"), service("web")).expect("written");
    fs::remove_file(at("web.yaml~")).expect("removed");
    hear_until(&mut files, "web.yaml~").await;
    hear_until(&mut files, "web.yaml~").await;
    assert!(files.leaving.is_empty() && is_decided(&files));
    // Renamed.
    fs::rename(at("web.yaml"), at("a.yaml")).expect("moved");
    hear_until(&mut files, "web.yaml").await;
    assert_eq!(files.leaving.len(), 1);
    files.take_leave();
    assert!(is_decided(&files), "its time has not come");
    hear_until(&mut files, "a.yaml").await;
    assert!(files.leaving.is_empty() && is_decided(&files));
    // Gone.
    fs::remove_file(at("a.yaml")).expect("removed");
    hear_until(&mut files, "a.yaml").await;
    tokio::time::sleep_until(files.leaving[&web()]).await;
    files.take_leave();
    assert!(files.store.get(&web()).is_none());
}

#[tokio::test]
async fn an_object_moves_from_file_to_file_in_either_order() {
    let scratch = Scratch::new("moves");
    scratch.write("a.yaml", &service("web"));
    scratch.write("b.yaml", &service("mail"));
    let mut files = scratch.open();
    decide(&files, &web());
    let both = format!("{}---\n{}", service("web"), service("mail"));
    // There before it is gone here.
    scratch.write("b.yaml", &both);
    scratch.write("a.yaml", &service("other"));
    hear_until(&mut files, "a.yaml").await;
    assert!(files.leaving.is_empty() && is_decided(&files));
    // Gone here before it is there.
    scratch.write("b.yaml", &service("mail"));
    scratch.write("a.yaml", &service("web"));
    hear_until(&mut files, "a.yaml").await;
    assert!(!files.leaving.contains_key(&web()) && is_decided(&files));
}

#[tokio::test]
async fn the_first_file_counts_whichever_came_first() {
    let scratch = Scratch::new("first");
    let with_port = |port: u16| {
        let ports = format!("{{ports: [{{port: {port}}}], type");
        service("web").replace("{type", &ports)
    };
    scratch.write("b.yaml", &with_port(2));
    let mut files = scratch.open();
    let port =
        |files: &Files| files.store.get(&web()).expect("there")["spec"]["ports"][0]["port"].clone();
    assert_eq!(port(&files), 2);
    scratch.write("a.yaml", &with_port(1));
    hear_until(&mut files, "a.yaml").await;
    assert_eq!(port(&files), 1);
    fs::remove_file(scratch.0.join("a.yaml")).expect("removed");
    hear_until(&mut files, "a.yaml").await;
    assert_eq!(port(&files), 2, "the other one counts now");
    assert!(files.leaving.is_empty());
}

#[tokio::test]
async fn a_file_that_is_wrong_at_a_start_is_what_it_was() {
    let scratch = Scratch::new("restart");
    scratch.write("web.yaml", &service("web"));
    let stop = CancellationToken::new();
    stop.cancel();
    let files = scratch.open();
    decide(&files, &web());
    files.run(stop.clone()).await;
    for wrong in ["kind: [", "", "metadata: {name: half"] {
        scratch.write("web.yaml", wrong);
        let files = scratch.open();
        assert!(is_decided(&files), "{wrong}");
        files.run(stop.clone()).await;
    }
    // Mended, and gone for good.
    scratch.write("web.yaml", &service("web"));
    let files = scratch.open();
    assert!(is_decided(&files));
    files.run(stop.clone()).await;
    fs::remove_file(scratch.0.join("web.yaml")).expect("removed");
    let files = scratch.open();
    assert!(files.store.get(&web()).is_none());
    files.run(stop).await;
    let kept = fs::read_dir(scratch.0.join(".status/files")).expect("a folder");
    assert_eq!(kept.count(), 0);
}

#[tokio::test]
async fn pipes_and_links_that_lead_nowhere_hold_nothing_up() {
    let scratch = Scratch::new("odd");
    let at = |file: &str| scratch.0.join(file);
    let made = std::process::Command::new("mkfifo")
        .arg(at("pipe.yaml"))
        .status();
    assert!(made.expect("mkfifo").success());
    fs::create_dir(at("folder.yaml")).expect("made");
    // As a ConfigMap is mounted.
    fs::create_dir(at("..1")).expect("made");
    fs::write(at("..1/web.yaml"), service("web")).expect("written");
    let link = |to: &str, from: &str| std::os::unix::fs::symlink(to, at(from)).expect("linked");
    link("..1", "..data");
    link("..data/web.yaml", "web.yaml");
    let mut files = scratch.open();
    decide(&files, &web());
    // The link leads nowhere for a while.
    fs::remove_file(at("..data")).expect("removed");
    hear_until(&mut files, "..data").await;
    assert!(files.leaving.is_empty() && is_decided(&files));
    fs::create_dir(at("..2")).expect("made");
    let two = format!("{}---\n{}", service("web"), service("mail"));
    fs::write(at("..2/web.yaml"), two).expect("written");
    link("..2", "..data_tmp");
    fs::rename(at("..data_tmp"), at("..data")).expect("swapped");
    hear_until(&mut files, "..data").await;
    assert!(files.leaving.is_empty() && is_decided(&files));
    assert!(names(&files.store).contains(&"Service default/mail".to_owned()));
    // A hard link is whole at once.
    scratch.write("hidden", &service("linked"));
    fs::hard_link(at("hidden"), at("z.yaml")).expect("linked");
    hear_until(&mut files, "z.yaml").await;
    assert!(names(&files.store).contains(&"Service default/linked".to_owned()));
}

#[tokio::test]
async fn a_directory_that_goes_takes_nothing_with_it() {
    for (n, how) in ["delete", "move"].into_iter().enumerate() {
        let scratch = Scratch::new(&format!("gone{n}"));
        scratch.write("web.yaml", &service("web"));
        let mut files = scratch.open();
        decide(&files, &web());
        if how == "delete" {
            fs::remove_dir_all(&scratch.0).expect("removed");
        } else {
            fs::rename(&scratch.0, scratch.0.with_extension("old")).expect("moved");
            fs::create_dir(&scratch.0).expect("another one");
        }
        if how == "delete" {
            hear_until(&mut files, "web.yaml").await;
            tokio::time::sleep_until(files.leaving[&web()]).await;
            files.take_leave();
        }
        while !files.deaf {
            hear_next(&mut files).await;
        }
        assert!(files.leaving.is_empty() && is_decided(&files), "{how}");
        let _ = fs::remove_dir_all(scratch.0.with_extension("old"));
    }
}

#[tokio::test]
async fn a_status_that_cannot_be_written_is_tried_again_and_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new("trouble");
    scratch.write("web.yaml", &service("web"));
    let mut files = scratch.open();
    decide(&files, &web());
    let path = scratch.0.join(".status/default.web.yaml");
    fs::create_dir_all(path.join("in the way")).expect("made");
    assert!(!files.statuses.write(&files.store));
    fs::remove_dir_all(&path).expect("removed");
    assert!(files.statuses.write(&files.store));
    for path in [path, scratch.0.join(".status/files/web.yaml")] {
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
    // A status that a person has touched is as good as any file, or none.
    fs::write(scratch.0.join(".status/default.web.yaml"), "status: [").expect("written");
    drop(files);
    let files = scratch.open();
    assert!(!is_decided(&files));
}
