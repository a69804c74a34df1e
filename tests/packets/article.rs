//! The article, whole: its YAML, our manifests, and what its author saw.

use crate::scene::Scene;
use crate::support::cluster::NAMESPACE;
use crate::support::node::Node;
use crate::support::wait;
use std::collections::{BTreeMap, BTreeSet};

const ALL: [&str; 3] = ["n1", "n2", "n3"];

/// A second session for each node, over IPv6, and a pool of that family: what
/// the reader of the article adds who has both.
const BOTH_FAMILIES: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata:
  namespace: metallb-system
  name: config
data:
  config: |
    peers:
    - {peer-address: 198.19.0.2, peer-asn: 65559, my-asn: 65559, password: "foo"}
    - {peer-address: "fd00:19::2", peer-asn: 65559, my-asn: 65559}
    address-pools:
    - name: public-pool
      protocol: bgp
      addresses:
      - 1.2.3.4-1.2.3.8
      - 2001:db8:1::4-2001:db8:1::8
"#;

const DUAL: &str = r#"
apiVersion: v1
kind: Service
metadata:
  name: whoami-dual
spec:
  type: LoadBalancer
  externalTrafficPolicy: Local
  ipFamilyPolicy: RequireDualStack
  ipFamilies: [IPv6, IPv4]
  selector: {app: whoami}
  ports: [{name: http, port: 80, targetPort: 80}]
"#;

#[test]
#[ignore = "needs root: tests/run runs it"]
fn the_article() {
    let cluster = Scene::set();
    cluster.install();
    cluster.plane.create(&cluster.article("config.yaml"));
    cluster.wait_pods(NAMESPACE, "component=speaker", 3);
    cluster.wait_pods(NAMESPACE, "component=allocator", 2);
    runs_without_a_single_right(&cluster.nodes);

    // "elke node uit het Kubernetes cluster zich heeft aangemeld als peer"
    let nodes = cluster.addresses(&ALL);
    cluster.router.wait_established("ipv4", &nodes);
    for neighbour in cluster.router.summary("ipv4").values() {
        assert_eq!((neighbour.remote_as, neighbour.prefixes), (65559, 0));
    }

    cluster.plane.create(&cluster.article("whoami.yaml"));
    cluster
        .plane
        .create(&cluster.article("traefik-ingress.yaml"));
    let table = wait::until("kubectl shows both addresses", || {
        let table = cluster.plane.try_kubectl(&["get", "svc"])?;
        wait::check(
            words(&table, "whoami-lb").get(3) == Some(&"1.2.3.4")
                && words(&table, "traefik-ingress").get(3) == Some(&"1.2.3.5"),
            &table,
        )?;
        Ok(table)
    });
    let row = words(&table, "whoami-lb");
    assert_eq!(row[1], "LoadBalancer", "{table}");
    assert!(row[4].starts_with("80:"), "{table}");

    let pods = cluster.wait_pods("default", "app=whoami", 3);
    let hosts: BTreeSet<&str> = pods.iter().map(|pod| pod.node.as_str()).collect();
    assert_eq!(hosts, BTreeSet::from(ALL), "a pod on each node: {pods:?}");

    // "B 1.2.3.4/32 [200/0] via 10.x.x.101 … .102 … .103"; traefik has no pods.
    cluster.router.wait_route("1.2.3.4/32", &nodes);
    let hops: BTreeSet<String> = nodes.iter().cloned().collect();
    wait::until("the router forwards by all three nodes", || {
        let seen = cluster.router.forwarding("1.2.3.4/32");
        wait::check(seen == Some((200, 0, hops.clone())), seen)
    });
    assert_eq!(
        cluster.router.table("ipv4").into_keys().collect::<Vec<_>>(),
        ["1.2.3.4/32"]
    );
    for neighbour in cluster.router.summary("ipv4").values() {
        assert_eq!(neighbour.prefixes, 1, "the article's PfxRcd");
    }

    let names: BTreeSet<String> = pods.into_iter().map(|pod| pod.name).collect();
    answers_come_from_all_pods(&cluster, "http://1.2.3.4/", &names, "198.51.100.2");

    // And over IPv6.
    cluster.plane.apply(BOTH_FAMILIES);
    cluster.plane.create(DUAL);
    let nodes6 = cluster.addresses6(&ALL);
    cluster.router.wait_established("ipv6", &nodes6);
    cluster.router.wait_route("2001:db8:1::4/128", &nodes6);
    cluster.router.wait_route("1.2.3.6/32", &nodes);
    let service = cluster
        .plane
        .read("/api/v1/namespaces/default/services/whoami-dual");
    let given = &service["status"]["loadBalancer"]["ingress"];
    assert_eq!(
        (&given[0]["ip"], &given[1]["ip"]),
        (&"2001:db8:1::4".into(), &"1.2.3.6".into()),
        "in the order of the Service's families: {given}"
    );
    let outside = "[2001:db8:100::2]";
    answers_come_from_all_pods(&cluster, "http://[2001:db8:1::4]/", &names, outside);
    answers_come_from_all_pods(&cluster, "http://1.2.3.6/", &names, "198.51.100.2");
}

/// Asks until every pod has answered; from then on every answer must be good,
/// and every pod must have seen the client's own address.
fn answers_come_from_all_pods(scene: &Scene, url: &str, pods: &BTreeSet<String>, client: &str) {
    let mut seen = BTreeSet::new();
    wait::until(&format!("each pod has answered at {url}"), || {
        seen.insert(field(&scene.ask(url)?, "Hostname: "));
        wait::check(seen == *pods, &seen)
    });
    let mut answers: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..60 {
        let body = scene.ask(url).unwrap_or_else(|why| panic!("{why}"));
        let from = field(&body, "RemoteAddr: ");
        let (address, _port) = from.rsplit_once(':').expect("address:port");
        assert_eq!(address, client, "the pod sees the client's own address");
        *answers.entry(field(&body, "Hostname: ")).or_default() += 1;
    }
    // Chance decides by ports; that a pod gets none of 60 comes once in 10¹⁰.
    assert!(answers.keys().eq(pods), "{answers:?}");
}

/// The manifests ask for nobody without a capability; the kernel says whether
/// it is so.
fn runs_without_a_single_right(nodes: &[Node]) {
    let mut processes = 0;
    for node in nodes {
        let script = "for pid in $(pgrep -x loods); do cat /proc/$pid/status; done";
        let text = node
            .try_run("sh", &["-c", script])
            .expect("the node's processes");
        for status in text.split("Name:").skip(1) {
            processes += 1;
            for line in [
                "Uid:\t65534\t65534\t65534\t65534",
                "Gid:\t65534\t65534\t65534\t65534",
                "CapInh:\t0000000000000000",
                "CapPrm:\t0000000000000000",
                "CapEff:\t0000000000000000",
                "CapBnd:\t0000000000000000",
                "CapAmb:\t0000000000000000",
                "NoNewPrivs:\t1",
                "Seccomp:\t2",
            ] {
                assert!(status.lines().any(|has| has == line), "{line} in\n{status}");
            }
        }
    }
    assert_eq!(processes, 5, "two allocators and three speakers");
}

/// The row of a table that begins with `name`.
fn words<'a>(table: &'a str, name: &str) -> Vec<&'a str> {
    let mut rows = table.lines().map(str::split_whitespace);
    let row = rows.find(|row| row.clone().next() == Some(name));
    row.into_iter().flatten().collect()
}

/// What follows `name` on its line of whoami's answer.
fn field(body: &str, name: &str) -> String {
    let line = body.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name}in {body}")).into()
}
