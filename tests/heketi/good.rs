//! Nothing goes wrong: what is asked, in which order, and what comes of it.

use std::collections::BTreeSet;

use futures::future::join_all;
use loods::storage::heketi::loods::Source;

use super::{client_of, wanted};
use crate::stand_in::StandIn;

/// What came, with ids cut off.
fn lines(server: &StandIn) -> Vec<String> {
    let short = |line: String| {
        let words = line
            .split(['/', ' '])
            .map(|word| if word.len() == 32 { "ID" } else { word });
        words.collect::<Vec<_>>().join("/").replacen('/', " ", 1)
    };
    server.lines().into_iter().map(short).collect()
}

#[tokio::test]
async fn a_volume_is_made_grown_and_removed_with_the_recorded_calls() {
    let server = StandIn::start(super::KEY);
    let heketi = client_of(&server);
    let volume = heketi
        .ensure_volume(&wanted("pvc-1"))
        .await
        .expect("it is made");
    assert_eq!((volume.size, &*volume.name, volume.gid), (2, "pvc-1", 2000));
    assert_eq!(volume.bricks.len(), 2);
    assert_eq!(volume.mount.glusterfs.hosts.len(), 3);
    assert_eq!(
        lines(&server),
        [
            "GET /hello/200",
            "GET /clusters/200",
            "GET /volumes/200",
            "POST /volumes/202",
            "GET /queue/ID/303",
            "GET /volumes/ID/200",
        ]
        .map(|line| line.replacen("//", "/", 1))
    );
    let post = server
        .asked()
        .into_iter()
        .find(|asked| asked.line == "POST /volumes");
    assert_eq!(
        post.expect("it was sent").body,
        r#"{"size":2,"name":"pvc-1","durability":{"type":"replicate","replicate":{"replica":2},"disperse":{}},"gid":2000,"snapshot":{"enable":false,"factor":0.0}}"#
    );

    let grown = heketi.expand_to(&volume.id, 5).await.expect("it grows");
    assert_eq!((grown.size, grown.bricks.len()), (5, 4));
    let again = heketi
        .expand_to(&volume.id, 4)
        .await
        .expect("it is large enough");
    assert_eq!(again.size, 5);
    let expands: Vec<_> = server
        .asked()
        .into_iter()
        .filter(|asked| asked.line.ends_with("/expand"))
        .collect();
    assert_eq!(expands.len(), 1);
    assert_eq!(expands[0].body, r#"{"expand_size":3}"#);

    heketi
        .delete_volume(&volume.id)
        .await
        .expect("it is removed");
    heketi.delete_volume(&volume.id).await.expect("it is gone");
    assert!(server.volumes().is_empty());
    assert_eq!(heketi.volume(&volume.id).await, Ok(None));
    assert!(
        heketi
            .expand_to(&volume.id, 6)
            .await
            .expect_err("it is gone")
            .is_final()
    );
}

#[tokio::test]
async fn a_volume_that_is_there_is_found_by_its_name() {
    let server = StandIn::start(super::KEY);
    let first = client_of(&server)
        .ensure_volume(&wanted("pvc-1"))
        .await
        .expect("it is made");
    // Another process, which knows nothing of it.
    let other = client_of(&server);
    assert_eq!(
        other.ensure_volume(&wanted("pvc-1")).await.as_ref(),
        Ok(&first)
    );
    assert_eq!(other.find_by_name("pvc-1").await, Ok(Some(first.clone())));
    assert_eq!(other.find_by_name("pvc-2").await, Ok(None));
    assert_eq!(other.volume(&first.id).await, Ok(Some(first)));
    assert_eq!(
        server
            .lines()
            .iter()
            .filter(|line| line.starts_with("POST"))
            .count(),
        1
    );
}

#[tokio::test]
async fn what_no_volume_can_be_called_is_not_asked_for() {
    let server = StandIn::start(super::KEY);
    let heketi = client_of(&server);
    assert_eq!(heketi.volume("../admin").await, Ok(None));
    assert_eq!(heketi.delete_volume("no such id").await, Ok(()));
    assert_eq!(heketi.find_by_name("a b").await, Ok(None));
    assert!(heketi.expand_to("zz", 1).await.is_err());
    assert_eq!(server.lines(), [""; 0]);
}

#[tokio::test]
async fn names_once_read_are_not_read_again() {
    let server = StandIn::start(super::KEY);
    let maker = client_of(&server);
    for number in 0..20 {
        maker
            .ensure_volume(&wanted(&format!("pvc-{number}")))
            .await
            .expect("it is made");
    }
    let heketi = client_of(&server);
    let before = server.asked().len();
    heketi
        .find_by_name("pvc-7")
        .await
        .expect("it answers")
        .expect("it is there");
    // Hello, the list, and each of twenty.
    assert_eq!(server.asked().len() - before, 22);
    let before = server.asked().len();
    heketi
        .find_by_name("pvc-8")
        .await
        .expect("it answers")
        .expect("it is there");
    heketi.find_by_name("pvc-99").await.expect("it answers");
    assert_eq!(
        server.asked().len() - before,
        3,
        "the list and the one; the list"
    );
    assert_eq!(heketi.volumes().await.expect("all").len(), 20);
}

#[tokio::test]
async fn fifty_at_once_are_fifty_although_the_server_takes_two() {
    let server = StandIn::start(super::KEY);
    server.slow(std::time::Duration::from_millis(50));
    server.in_flight(2);
    // Two processes, both of which want all of them.
    let clients = [client_of(&server), client_of(&server)];
    let names: Vec<String> = (0..25).map(|number| format!("pvc-{number}")).collect();
    let making = names.iter().flat_map(|name| {
        let heketi = &clients;
        heketi
            .iter()
            .map(move |heketi| async move { heketi.ensure_volume(&wanted(name)).await })
    });
    let made = join_all(making).await;
    let ids: BTreeSet<String> = made
        .into_iter()
        .map(|made| made.expect("it is made").id)
        .collect();
    assert_eq!(ids.len(), 25);
    let volumes = server.volumes();
    assert_eq!(volumes.len(), 25);
    assert!(
        server
            .lines()
            .iter()
            .any(|line| line == "POST /volumes 429"),
        "it was busy"
    );
}

#[tokio::test]
async fn a_cluster_without_room_gives_way_to_the_next() {
    let server = StandIn::start(super::KEY);
    let small = server.add_cluster(Some(1));
    let large = server
        .clusters()
        .into_iter()
        .find(|id| *id != small)
        .expect("the first");
    let mut create = wanted("pvc-1");
    create.clusters = Some(vec![small.clone(), large.clone()]);
    let volume = client_of(&server)
        .ensure_volume(&create)
        .await
        .expect("the other has room");
    assert_eq!(volume.cluster, large);
    let bodies: Vec<String> = server
        .asked()
        .into_iter()
        .filter(|a| a.line == "POST /volumes")
        .map(|a| a.body)
        .collect();
    // One cluster at a time, since a name is unique within one.
    assert!(
        bodies[0].contains(&small) && !bodies[0].contains(&large),
        "{bodies:?}"
    );
    create = wanted("pvc-2");
    create.size = 900_000;
    let error = client_of(&server)
        .ensure_volume(&create)
        .await
        .expect_err("nobody has that much");
    assert_eq!(error.kind(), "noSpace", "{error}");
}

#[tokio::test]
async fn our_own_manager_is_asked_by_name_and_guards_growth() {
    let server = StandIn::start(super::KEY);
    server.as_loods(true);
    let heketi = client_of(&server);
    assert!(heketi.hello().await.expect("it greets").loods.is_some());
    let volume = heketi
        .ensure_volume(&wanted("pvc-1"))
        .await
        .expect("it is made");
    let asked = server.lines();
    assert!(
        asked.contains(&"GET /loods/v1/volumes?name=pvc-1 404".to_owned()),
        "{asked:?}"
    );
    heketi.expand_to(&volume.id, 3).await.expect("it grows");
    let expand = server
        .asked()
        .into_iter()
        .find(|asked| asked.line.ends_with("/expand"));
    assert_eq!(
        expand.expect("it was sent").body,
        r#"{"expand_size":1,"from":2}"#
    );

    let snapshot = heketi
        .snapshot("snap-1", &volume.id)
        .await
        .expect("it is taken");
    assert_eq!(
        heketi.snapshot("snap-1", &volume.id).await.as_ref(),
        Ok(&snapshot)
    );
    assert_eq!(
        heketi.snapshots().await.as_deref(),
        Ok(&[snapshot.clone()][..])
    );
    let copy = wanted("pvc-2");
    let clone = heketi.clone_volume(&copy, Source::Snapshot(snapshot.id.clone()));
    clone.await.expect("it is made");
    let body = server
        .asked()
        .into_iter()
        .rfind(|asked| asked.line == "POST /volumes");
    let source = format!(r#""source":{{"snapshot":"{}"}}}}"#, snapshot.id);
    assert!(body.expect("it was sent").body.ends_with(&source));
    heketi.delete_snapshot(&snapshot.id).await.expect("it goes");
    heketi
        .delete_snapshot(&snapshot.id)
        .await
        .expect("it is gone");
    assert_eq!(heketi.snapshots().await.as_deref(), Ok(&[][..]));
}

#[tokio::test]
async fn an_old_heketi_is_not_asked_for_what_it_cannot_do() {
    let server = StandIn::start(super::KEY);
    let heketi = client_of(&server);
    let error = heketi
        .snapshot("snap-1", "1")
        .await
        .expect_err("no snapshots");
    assert!(
        error.is_final() && error.to_string().contains("needs the manager of Loods"),
        "{error}"
    );
    assert!(
        heketi
            .clone_volume(&wanted("a"), Source::Volume("1".into()))
            .await
            .is_err()
    );
    assert_eq!(server.lines(), ["GET /hello 200"]);
}

#[tokio::test]
async fn a_manager_that_gave_way_to_a_heketi_is_found_out() {
    let server = StandIn::start(super::KEY);
    server.as_loods(true);
    let heketi = client_of(&server);
    let volume = heketi
        .ensure_volume(&wanted("pvc-1"))
        .await
        .expect("it is made");
    server.as_loods(false);
    assert_eq!(heketi.find_by_name("pvc-1").await, Ok(Some(volume)));
}

#[tokio::test]
async fn without_credentials_no_token_is_sent() {
    use loods::storage::heketi::client::{Heketi, Trust};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let server = StandIn::on(None, listener);
    let heketi = Heketi::new(&server.url(), None, &Trust::Host, super::limits()).expect("a URL");
    heketi
        .ensure_volume(&wanted("pvc-1"))
        .await
        .expect("it is made");
}
