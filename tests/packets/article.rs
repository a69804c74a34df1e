//! The article, whole.

use crate::scene::Scene;
use crate::support::cluster::NAMESPACE;
use crate::support::wait;

#[test]
#[ignore = "needs root: tests/run runs it"]
fn the_article() {
    let cluster = Scene::set();
    cluster.install();
    cluster.plane.create(&cluster.article("config.yaml"));
    cluster.wait_pods(NAMESPACE, "component=speaker", 3);
    cluster.wait_pods(NAMESPACE, "component=allocator", 2);
    cluster.plane.create(&cluster.article("whoami.yaml"));
    let body = wait::until("the client gets an answer", || {
        cluster.ask("http://1.2.3.4/")
    });
    println!("{body}");
}
