//! What a node's parts read: containerd, CNI, kubelet, kube-proxy.

use crate::support::lab::Host;
use serde_json::{Value, json};
use std::fs;

/// Pod addresses of node `number`, both families.
pub fn pod_ranges(number: u8) -> [String; 2] {
    [
        format!("10.244.{number}.0/24"),
        format!("fd00:244:{number}::/64"),
    ]
}

/// Writes all of them into the node's directory. `registry` is the address
/// and port of the laboratory's registry of images.
pub fn write(host: &Host, number: u8, registry: &str) {
    let dir = host.dir.display();
    let put = |name: &str, text: String| {
        let path = host.dir.join(name);
        fs::create_dir_all(path.parent().expect("it lies in the node's directory"))
            .expect("a directory for a node's configuration");
        fs::write(&path, text).expect("a file of a node's configuration");
    };
    put("containerd.toml", containerd(&dir.to_string()));
    put("cni/10-lab.conflist", cni(number).to_string());
    put(
        "certs.d/docker.io/hosts.toml",
        format!(
            "server = \"http://{registry}\"\n\
             [host.\"http://{registry}\"]\n  capabilities = [\"pull\", \"resolve\"]\n"
        ),
    );
    // JSON is YAML.
    put("kubelet.yaml", kubelet(host).to_string());
    put("kube-proxy.yaml", kube_proxy(host).to_string());
}

fn containerd(dir: &str) -> String {
    format!(
        r#"version = 2
# containerd would make /opt/containerd on the machine.
[plugins."io.containerd.internal.v1.opt"]
  path = "{dir}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/lab/pause:latest"
  # The tests may lack the right to lower an OOM score.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
    SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    # Debian's place.
    bin_dir = "/usr/lib/cni"
    conf_dir = "{dir}/cni"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{dir}/certs.d"
"#
    )
}

fn cni(number: u8) -> Value {
    let ranges = pod_ranges(number).map(|range| json!([{"subnet": range}]));
    json!({
        "cniVersion": "1.0.0",
        "name": "lab",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": true,
                "ipMasq": false,
                "hairpinMode": true,
                "ipam": {
                    "type": "host-local",
                    "ranges": ranges,
                    "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    })
}

fn kubelet(host: &Host) -> Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": host.v4,
        "healthzBindAddress": host.v4,
        // So that logs and exec work without certificates for clients.
        "authentication": {"anonymous": {"enabled": true}, "webhook": {"enabled": false}},
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        // Two kubelets with one root would take each other's pods for orphans.
        "cgroupRoot": format!("/{}", host.namespace()),
        "failCgroupV1": false,
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        // Nobody serves it; without one every pod gets a warning.
        "clusterDNS": ["10.96.0.10"],
        "resolvConf": "/dev/null",
        "volumePluginDir": host.dir.join("volume-plugins"),
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "imagefs.available": "1%",
        },
        "oomScoreAdj": 0,
        "failSwapOn": false,
        "serializeImagePulls": false,
        // Heartbeats every two seconds; the control plane waits for ten.
        "nodeStatusUpdateFrequency": "5s",
        "nodeLeaseDurationSeconds": 8,
    })
}

fn kube_proxy(host: &Host) -> Value {
    json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        // Kubernetes' own default; a measurement may ask for another.
        "nftables": {"minSyncPeriod": std::env::var("LOODS_MIN_SYNC").unwrap_or("1s".into())},
        "clusterCIDR": "10.244.0.0/16,fd00:244::/48",
        "hostnameOverride": host.name,
        "bindAddress": host.v4,
        "healthzBindAddress": format!("{}:10256", host.v4),
        "metricsBindAddress": format!("{}:10249", host.v4),
        "clientConnection": {"kubeconfig": host.dir.join("kube-proxy.conf")},
        // The connection table's limits are the whole machine's.
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
    })
}
