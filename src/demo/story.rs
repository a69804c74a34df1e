//! The story itself, step by step.

use std::time::Duration;

use super::nodes::{self, ALLOCATOR, NAMES};
use super::scene::{Expected, PENDING, Scene};

/// Between two steps, for a reader.
pub(super) const PACE: Duration = Duration::from_millis(1000);

const WHOAMI: &str = include_str!("../../config/demo/whoami.yaml");
const TRAEFIK: &str = include_str!("../../config/demo/traefik-ingress.yaml");
const MORE: &str = include_str!("../../config/demo/more-services.yaml");

const ONE: &str = NAMES[0];
const TWO: &str = NAMES[1];
const THREE: &str = NAMES[2];
const WHOAMI_ROUTE: &str = "1.2.3.4/32";
const TRAEFIK_ROUTE: &str = "1.2.3.5/32";
const SHOP_ROUTE: &str = "1.2.3.8/32";

/// Tells everything, or until the user has had enough. Whether it came to its end.
pub(super) async fn tell(scene: &mut Scene, config: &str) -> bool {
    let mut expected = Expected::default();
    // In the order in which a reader would try them.
    let told = peering(scene, &mut expected, config).await
        && services(scene, &mut expected).await
        && pods(scene, &mut expected).await
        && requests(scene, &mut expected).await
        && trouble(scene, &mut expected, config).await
        && restarts(scene, &mut expected, config).await;
    told && !scene.cut
}

/// Where to look when the story is over.
pub(super) fn epilogue(scene: &Scene) {
    let page = &scene.page;
    page.say("");
    page.note("Everything is still running. What each part holds, and why:");
    for name in [ALLOCATOR].iter().chain(&NAMES) {
        page.command(
            "$",
            &format!("curl -s {}/state    # {name}", nodes::state(name)),
        );
    }
    page.note("Ctrl-C ends it.");
}

async fn peering(scene: &mut Scene, expected: &mut Expected, config: &str) -> bool {
    scene.page.note(
        "The article's cluster: three nodes, an allocator, and a router at the end of real TCP \
         sessions. The one substitution: its router 10.x.x.1 is 127.0.0.1 here, at a port that \
         needs no root.",
    );
    if !scene
        .step("The configuration is applied: every node becomes a neighbour of the router")
        .await
    {
        return false;
    }
    for name in [ALLOCATOR].into_iter().chain(NAMES) {
        scene.nodes.start(name);
    }
    scene.page.command("$", "kubectl apply -f config.yaml");
    scene.page.lines(config);
    scene.cluster.apply(config);
    expected.up(&NAMES);
    scene
        .expect(
            expected,
            "three sessions, AS 65559, signed with the password",
        )
        .await;
    scene.show_summary();
    true
}

async fn services(scene: &mut Scene, expected: &mut Expected) -> bool {
    if !scene
        .step("whoami-lb asks for an address of public-pool; its three pods run on three nodes")
        .await
    {
        return false;
    }
    scene.page.command("$", "kubectl apply -f whoami.yaml");
    scene.cluster.apply(WHOAMI);
    scene.cluster.run("whoami-lb", &NAMES);
    expected.service("whoami-lb", "1.2.3.4");
    expected.via(WHOAMI_ROUTE, &NAMES);
    scene.expect(expected, "1.2.3.4, by three nodes").await;
    scene.show();

    if !scene
        .step("traefik-ingress has two ports, and leaves the choice to Loods")
        .await
    {
        return false;
    }
    scene
        .page
        .command("$", "kubectl apply -f traefik-ingress.yaml");
    scene.cluster.apply(TRAEFIK);
    scene.cluster.run("traefik-ingress", &NAMES);
    expected.service("traefik-ingress", "1.2.3.5");
    expected.via(TRAEFIK_ROUTE, &NAMES);
    scene
        .expect(
            expected,
            "the lowest free address; two prefixes from every neighbour",
        )
        .await;
    scene.show();
    scene.show_summary();
    true
}

async fn pods(scene: &mut Scene, expected: &mut Expected) -> bool {
    if !scene
        .step("A pod of whoami moves from node3 to node1: the route follows")
        .await
    {
        return false;
    }
    scene.cluster.run("whoami-lb", &[ONE, TWO, ONE]);
    expected.via(WHOAMI_ROUTE, &[ONE, TWO]);
    scene
        .expect(expected, "traffic goes only where a pod is")
        .await;
    scene.show();

    if !scene
        .step("The pod on node2 fails its readiness probe")
        .await
    {
        return false;
    }
    scene
        .cluster
        .change("whoami-lb", TWO, |pod| pod.ready = false);
    expected.via(WHOAMI_ROUTE, &[ONE]);
    scene.expect(expected, "node2 is out of the way").await;
    scene.show();
    true
}

async fn requests(scene: &mut Scene, expected: &mut Expected) -> bool {
    if !scene
        .step("It recovers; and a shop asks for 1.2.3.8, by policy Cluster: from every node")
        .await
    {
        return false;
    }
    scene
        .cluster
        .change("whoami-lb", TWO, |pod| pod.ready = true);
    apply_more(scene, "shop");
    scene.cluster.run("shop", &[THREE]);
    expected.service("shop", "1.2.3.8");
    expected.via(WHOAMI_ROUTE, &[ONE, TWO]);
    expected.via(SHOP_ROUTE, &NAMES);
    scene.expect(expected, "it has what it asked for").await;
    scene.show();

    if !scene
        .step("A copycat asks for whoami's address: refused, with the reason")
        .await
    {
        return false;
    }
    let losses = scene.router.losses();
    apply_more(scene, "copycat");
    expected.service("copycat", PENDING);
    scene
        .expect_warning("svc", "copycat", "default/whoami-lb")
        .await;
    scene.expect(expected, "nobody's address moves").await;
    scene.expect_no_loss(losses);

    if !scene
        .step("Two more Services fill the pool; the third is told so")
        .await
    {
        return false;
    }
    for (name, address) in [
        ("mail", "1.2.3.6"),
        ("dns", "1.2.3.7"),
        ("one-too-many", PENDING),
    ] {
        apply_more(scene, name);
        expected.service(name, address);
    }
    scene
        .expect(expected, "five addresses, five Services")
        .await;
    scene
        .expect_warning("svc", "one-too-many", "public-pool")
        .await;
    scene.show();
    true
}

async fn trouble(scene: &mut Scene, expected: &mut Expected, config: &str) -> bool {
    if !scene
        .step("A slip of the finger in the ConfigMap: refused, and traffic stays")
        .await
    {
        return false;
    }
    let bad = config.replace("1.2.3.4-1.2.3.8", "1.2.3.4-1.2.3.8888");
    scene.page.command(
        "$",
        "kubectl edit configmap config    # - 1.2.3.4-1.2.3.8888",
    );
    let losses = scene.router.losses();
    scene.cluster.apply(&bad);
    scene
        .expect_warning("configmap", "config", "1.2.3.8888")
        .await;
    scene
        .expect(expected, "every route and every session as before")
        .await;

    if !scene
        .step("Loods on node3 is killed, and its pods are lost: no goodbye, the kernel hangs up")
        .await
    {
        return false;
    }
    scene.expect_no_loss(losses);
    scene.nodes.kill(THREE);
    scene.cluster.lose_pods(THREE);
    expected.up(&[ONE, TWO]);
    expected.via(TRAEFIK_ROUTE, &[ONE, TWO]);
    // The shop's only pod was there.
    expected.via(SHOP_ROUTE, &[]);
    scene.expect(expected, "the others carry on").await;
    scene.show();
    scene.show_summary();
    true
}

async fn restarts(scene: &mut Scene, expected: &mut Expected, config: &str) -> bool {
    if !scene
        .step("It comes back, while the ConfigMap is still wrong: the last good copy serves")
        .await
    {
        return false;
    }
    scene.nodes.start(THREE);
    scene.cluster.find_pods(THREE);
    expected.up(&NAMES);
    expected.via(TRAEFIK_ROUTE, &NAMES);
    expected.via(SHOP_ROUTE, &NAMES);
    scene.expect(expected, "all as it was").await;
    scene.show();

    if !scene
        .step("The speaker on node2 is upgraded: it tells the router why it goes")
        .await
    {
        return false;
    }
    scene.nodes.stop(TWO).await;
    expected.up(&[ONE, THREE]);
    expected.via(WHOAMI_ROUTE, &[ONE]);
    expected.via(TRAEFIK_ROUTE, &[ONE, THREE]);
    expected.via(SHOP_ROUTE, &[ONE, THREE]);
    scene
        .expect(expected, "withdrawn at once, not after the hold time")
        .await;
    scene.expect_last_words(TWO);
    scene.nodes.start(TWO);
    expected.up(&NAMES);
    expected.via(WHOAMI_ROUTE, &[ONE, TWO]);
    expected.via(TRAEFIK_ROUTE, &NAMES);
    expected.via(SHOP_ROUTE, &NAMES);
    scene.expect(expected, "and back").await;

    if !scene
        .step("The allocator restarts, and the pool grows: who waited gets an address")
        .await
    {
        return false;
    }
    scene.nodes.stop(ALLOCATOR).await;
    scene.nodes.start(ALLOCATOR);
    scene
        .page
        .command("$", "kubectl edit configmap config    # - 1.2.3.4-1.2.3.9");
    scene
        .cluster
        .apply(&config.replace("1.2.3.4-1.2.3.8", "1.2.3.4-1.2.3.9"));
    expected.service("one-too-many", "1.2.3.9");
    scene
        .expect(
            expected,
            "no address has moved, from the first step to the last",
        )
        .await;
    scene.show();
    scene.show_summary();
    true
}

/// Applies one of the Services that the article does not have.
fn apply_more(scene: &mut Scene, name: &str) {
    let line = format!("  name: {name}\n");
    let text = MORE.split("---\n").find(|text| text.contains(&line));
    scene
        .page
        .command("$", &format!("kubectl apply -f {name}.yaml"));
    scene
        .cluster
        .apply(text.expect("it is in more-services.yaml"));
}
