//! Cluster.
#[path = "../support/mod.rs"]
mod support;
#[test]
#[ignore = "needs root: tests/run runs it"]
fn plane_starts() {
    let lab = support::lab::Lab::new();
    let t = std::time::Instant::now();
    let plane = support::control_plane::ControlPlane::start(&lab);
    println!("{:?}", t.elapsed());
    println!("{}", plane.kubectl(&["version"]));
    let t = std::time::Instant::now();
    println!("{}", plane.kubectl(&["get", "svc"]));
    println!("{:?}", t.elapsed());
    let proxy = support::apiproxy::ApiProxy::start(lab.core(), &plane);
    plane.kubeconfig(&lab.dir().join("x"), "default", "default", &proxy.server());
}
