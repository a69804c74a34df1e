//! A real Kubernetes control plane: etcd, kube-apiserver and
//! kube-controller-manager, in the namespace of the laboratory's bridge.
//!
//! By itself it has no kubelets and no scheduler. Nodes are Node objects
//! that the test makes; pods are made, bound and marked ready by the test, as
//! a scheduler and a kubelet would. From there on everything is Kubernetes'
//! own: its controllers make the EndpointSlices, and a deleted pod stays in
//! Terminating until the test says that it has ended.
//!
//! With real nodes ([`super::cluster`]) it has a scheduler too, and judges
//! the nodes by their heartbeats.

use super::lab::{Host, Lab, attempt, run};
use super::process::Process;
use super::tools;
use super::wait;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The users that Kubernetes' own parts are, by the names that its bootstrap
/// roles know.
const CONTROLLERS: &str = "system:kube-controller-manager";
const SCHEDULER: &str = "system:kube-scheduler";
const PROXY: &str = "system:kube-proxy";

/// After so many seconds without a heartbeat a real node is dead.
pub const GRACE: u32 = 10;

/// The running control plane.
pub struct ControlPlane {
    host: Host,
    programs: PathBuf,
    dir: PathBuf,
    api: Process,
    etcd: Process,
    controllers: Process,
    scheduler: Option<Process>,
    grace: Option<u32>,
}

impl ControlPlane {
    /// Starts everything and waits until the API answers and has the
    /// namespace `default` with its ServiceAccount. Nodes are objects.
    pub fn start(lab: &Lab) -> ControlPlane {
        ControlPlane::start_for(lab, &[])
    }

    /// The same for real nodes of these names, with a scheduler.
    pub fn start_for(lab: &Lab, nodes: &[&str]) -> ControlPlane {
        let host = lab.core().clone();
        let dir = host.dir.join("kube");
        let programs = dir.join("bin");
        fs::create_dir_all(&programs).expect("a directory for the control plane");
        let kube = tools::kube();
        for part in [
            "etcd",
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
            "kube-proxy",
            "kubelet",
            "kubectl",
        ] {
            std::os::unix::fs::symlink(&kube, programs.join(part)).expect("a link to the program");
        }
        run(Command::new("openssl")
            .args(["genrsa", "-out"])
            .arg(dir.join("sa.key"))
            .arg("2048"));
        fs::write(dir.join("tokens.csv"), tokens(nodes)).expect("the file of tokens");

        let etcd = start_etcd(&host, &programs, &dir);
        let api = start_api(&host, &programs, &dir);
        wait::until("kube-apiserver writes its certificate", || {
            wait::check(dir.join("certs/apiserver.crt").exists(), api.tail(3))
        });
        write_kubeconfig(&host, &dir.join("admin.conf"), "admin");
        write_kubeconfig(&host, &dir.join("controllers.conf"), CONTROLLERS);
        let real_nodes = !nodes.is_empty();
        let grace = real_nodes.then_some(GRACE);
        let controllers = start_controllers(&host, &programs, &dir, grace);
        let scheduler = real_nodes.then(|| {
            write_kubeconfig(&host, &dir.join("scheduler.conf"), SCHEDULER);
            write_kubeconfig(&host, &dir.join("proxy.conf"), PROXY);
            start_scheduler(&host, &programs, &dir)
        });

        let plane = ControlPlane {
            host,
            programs,
            dir,
            api,
            etcd,
            controllers,
            scheduler,
            grace,
        };
        wait::until("the API has the default ServiceAccount", || {
            plane
                .try_read("/api/v1/namespaces/default/serviceaccounts/default")
                .map(drop)
        });
        plane
    }

    /// `https://ADDRESS:6443`.
    pub fn server(&self) -> String {
        server(&self.host)
    }

    /// The file that holds the API server's certificate and the one that signed it.
    pub fn authority(&self) -> PathBuf {
        self.dir.join("certs/apiserver.crt")
    }

    /// The administrator's kubeconfig.
    pub fn admin(&self) -> PathBuf {
        self.dir.join("admin.conf")
    }

    /// Ends kube-apiserver as a crash does.
    pub fn kill_api(&mut self) {
        self.api.kill();
    }

    /// Starts kube-apiserver again on the same data.
    pub fn start_api(&mut self) {
        self.api = start_api(&self.host, &self.programs, &self.dir);
        wait::until("the API answers again", || {
            self.try_read("/readyz").map(drop)
        });
    }

    /// Starts kube-controller-manager anew: after a long outage it would wait
    /// for up to a minute before it asks again.
    pub fn restart_controllers(&mut self) {
        self.controllers.kill();
        self.controllers = start_controllers(&self.host, &self.programs, &self.dir, self.grace);
    }

    /// Has kube-controller-manager take a node for dead after so many seconds
    /// without a heartbeat; [`GRACE`] at the beginning, by Kubernetes' own default 50.
    pub fn set_grace(&mut self, seconds: u32) {
        self.grace = Some(seconds);
        self.restart_controllers();
    }

    /// Keeps a copy of etcd's data, to be put back by [`Self::restore`].
    pub fn back_up(&mut self) {
        self.etcd.kill();
        run(Command::new("cp")
            .arg("-a")
            .arg(self.dir.join("etcd"))
            .arg(self.dir.join("etcd-backup")));
        self.etcd = start_etcd(&self.host, &self.programs, &self.dir);
        wait::until("the API answers after the backup", || {
            self.try_read("/readyz").map(drop)
        });
    }

    /// Puts the copy of etcd's data in place of what has happened since, and
    /// starts everything again, as the handbook of Kubernetes asks.
    pub fn restore(&mut self) {
        self.controllers.kill();
        self.api.kill();
        self.etcd.kill();
        run(Command::new("rm").arg("-r").arg(self.dir.join("etcd")));
        run(Command::new("mv")
            .arg(self.dir.join("etcd-backup"))
            .arg(self.dir.join("etcd")));
        self.etcd = start_etcd(&self.host, &self.programs, &self.dir);
        self.start_api();
        self.restart_controllers();
    }

    /// Where Kubernetes' programs lie under their own names.
    pub fn programs(&self) -> &Path {
        &self.programs
    }

    /// The kubeconfig of every kube-proxy.
    pub fn proxy_kubeconfig(&self) -> PathBuf {
        self.dir.join("proxy.conf")
    }

    /// Writes the kubeconfig of a real node's kubelet.
    pub fn kubelet_kubeconfig(&self, file: &Path, node: &str) {
        write_kubeconfig(&self.host, file, &format!("system:node:{node}"));
    }

    /// `kubectl`, as the user has it: what it prints on both outputs, or its failure.
    pub fn try_kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = self.host.command(self.programs.join("kubectl"));
        command
            .env("HOME", &self.dir)
            .arg("--kubeconfig")
            .arg(self.dir.join("admin.conf"));
        attempt(command.args(arguments))
    }

    /// [`Self::try_kubectl`], where a failure ends the test.
    #[track_caller]
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.try_kubectl(arguments)
            .unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// `kubectl create -f -`, as the article's author types it.
    #[track_caller]
    pub fn create(&self, manifest: &str) -> String {
        self.kubectl_file("create", manifest)
    }

    /// `kubectl apply -f -`.
    #[track_caller]
    pub fn apply(&self, manifest: &str) -> String {
        self.kubectl_file("apply", manifest)
    }

    #[track_caller]
    fn kubectl_file(&self, verb: &str, manifest: &str) -> String {
        let file = self.dir.join("manifest.yaml");
        fs::write(&file, manifest).expect("the manifest as a file");
        self.kubectl(&[verb, "-f", &file.to_string_lossy()])
    }

    /// GETs a path of the API as admin. Cheaper than kubectl, for polling.
    pub fn try_read(&self, path: &str) -> Result<Value, String> {
        self.request("GET", path, None)
    }

    /// [`Self::try_read`], where a failure ends the test.
    #[track_caller]
    pub fn read(&self, path: &str) -> Value {
        self.try_read(path)
            .unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// POSTs an object.
    #[track_caller]
    pub fn post(&self, path: &str, object: &Value) -> Value {
        self.request("POST", path, Some(object))
            .unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// A merge patch.
    #[track_caller]
    pub fn patch(&self, path: &str, change: &Value) -> Value {
        self.request("PATCH", path, Some(change))
            .unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// DELETEs an object or a collection; what is not there is gone already.
    #[track_caller]
    pub fn delete(&self, path: &str) {
        if let Err(failure) = self.request("DELETE", path, None)
            && !failure.contains("NotFound")
        {
            panic!("{failure}");
        }
    }

    fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let mut command = self.host.command("curl");
        command.args([
            "-sS",
            "--fail-with-body",
            "--max-time",
            "10",
            "-X",
            method,
            "--cacert",
        ]);
        command.arg(self.authority());
        command.args(["-H", &format!("Authorization: Bearer {}", token("admin"))]);
        if let Some(body) = body {
            let kind = if method == "PATCH" {
                "application/merge-patch+json"
            } else {
                "application/json"
            };
            command.args([
                "-H",
                &format!("Content-Type: {kind}"),
                "--data-binary",
                &body.to_string(),
            ]);
        }
        let text = attempt(command.arg(format!("{}{path}", self.server())))?;
        // /readyz and its like answer in plain text.
        Ok(serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// Writes a kubeconfig for a ServiceAccount in `namespace`, with a fresh
    /// token of its own. `server` may name a proxy instead of the API server.
    #[track_caller]
    pub fn kubeconfig(&self, file: &Path, namespace: &str, account: &str, server: &str) {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token");
        let request = json!({
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": 7200},
        });
        let answer = self.post(&path, &request);
        let token = answer["status"]["token"]
            .as_str()
            .expect("a TokenRequest is answered with a token");
        write_kubeconfig_with(&self.authority(), file, server, token);
    }

    /// The ends of the logs of all programs.
    pub fn tails(&self) -> String {
        format!(
            "--- etcd\n{}\n--- kube-apiserver\n{}\n--- kube-controller-manager\n{}\n--- kube-scheduler\n{}",
            self.etcd.tail(15),
            self.api.tail(30),
            self.controllers.tail(30),
            self.scheduler
                .as_ref()
                .map_or(String::new(), |it| it.tail(15))
        )
    }
}

fn server(host: &Host) -> String {
    format!("https://{}:6443", host.v4)
}

fn start_etcd(host: &Host, programs: &Path, dir: &Path) -> Process {
    let mut command = host.command(programs.join("etcd"));
    command.arg("--data-dir").arg(dir.join("etcd")).args([
        // The data need not outlive the machine.
        "--unsafe-no-fsync",
        "--listen-client-urls=http://127.0.0.1:2379",
        "--advertise-client-urls=http://127.0.0.1:2379",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--initial-advertise-peer-urls=http://127.0.0.1:2380",
        "--initial-cluster=default=http://127.0.0.1:2380",
        "--log-level=warn",
    ]);
    Process::start(host, "etcd", command)
}

fn start_api(host: &Host, programs: &Path, dir: &Path) -> Process {
    let mut command = host.command(programs.join("kube-apiserver"));
    command.args([
        "--etcd-servers=http://127.0.0.1:2379",
        &format!("--cert-dir={}", dir.join("certs").display()),
        &format!("--bind-address={}", host.v4),
        &format!("--advertise-address={}", host.v4),
        "--secure-port=6443",
        "--service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112",
        // Each Service of policy Local takes a health check port as well; none
        // of them may be a port that something on a node listens on.
        "--service-node-port-range=12768-32767",
        // The names of nodes are in no DNS.
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc",
        &format!(
            "--service-account-key-file={}",
            dir.join("sa.key").display()
        ),
        &format!(
            "--service-account-signing-key-file={}",
            dir.join("sa.key").display()
        ),
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        &format!("--token-auth-file={}", dir.join("tokens.csv").display()),
        "--allow-privileged=true",
    ]);
    Process::start(host, "kube-apiserver", command)
}

fn start_controllers(host: &Host, programs: &Path, dir: &Path, grace: Option<u32>) -> Process {
    let mut command = host.command(programs.join("kube-controller-manager"));
    command.args([
        &format!("--kubeconfig={}", dir.join("controllers.conf").display()),
        "--use-service-account-credentials=true",
        &format!(
            "--service-account-private-key-file={}",
            dir.join("sa.key").display()
        ),
        &format!(
            "--root-ca-file={}",
            dir.join("certs/apiserver.crt").display()
        ),
        "--leader-elect=false",
        &format!("--cert-dir={}", dir.join("controllers").display()),
        // It makes this directory, by default under /usr.
        &format!(
            "--flex-volume-plugin-dir={}",
            dir.join("volume-plugins").display()
        ),
    ]);
    if let Some(seconds) = grace {
        command.args([
            "--node-monitor-period=1s",
            &format!("--node-monitor-grace-period={seconds}s"),
        ]);
    } else {
        // Nodes are objects without a kubelet: nobody may judge their heartbeat.
        command.arg("--controllers=*,-nodelifecycle,-nodeipam");
    }
    Process::start(host, "kube-controller-manager", command)
}

fn start_scheduler(host: &Host, programs: &Path, dir: &Path) -> Process {
    let mut command = host.command(programs.join("kube-scheduler"));
    command.args([
        &format!("--kubeconfig={}", dir.join("scheduler.conf").display()),
        "--leader-elect=false",
        &format!("--cert-dir={}", dir.join("scheduler").display()),
    ]);
    Process::start(host, "kube-scheduler", command)
}

/// The bearer token of a user.
fn token(user: &str) -> String {
    format!("{}-token", user.replace(':', "-"))
}

/// The API server's file of tokens: token, user, a number, groups.
fn tokens(nodes: &[&str]) -> String {
    let mut users = vec![("admin".to_string(), "\"system:masters\"")];
    users.extend([CONTROLLERS, SCHEDULER, PROXY].map(|user| (user.to_string(), "")));
    users.extend(
        nodes
            .iter()
            .map(|node| (format!("system:node:{node}"), "\"system:nodes\"")),
    );
    let rows = users.iter().enumerate();
    rows.map(|(number, (user, group))| format!("{},{user},{number},{group}\n", token(user)))
        .collect()
}

/// A kubeconfig for a user of the file of tokens.
fn write_kubeconfig(host: &Host, file: &Path, user: &str) {
    let authority = host.dir.join("kube/certs/apiserver.crt");
    write_kubeconfig_with(&authority, file, &server(host), &token(user));
}

fn write_kubeconfig_with(authority: &Path, file: &Path, server: &str, token: &str) {
    let mut cluster = json!({"server": server});
    if server.starts_with("https:") {
        cluster["certificate-authority"] = json!(authority);
    }
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "lab", "cluster": cluster}],
        "users": [{"name": "me", "user": {"token": token}}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "me"}}],
        "current-context": "lab",
    });
    // JSON is YAML, and nothing needs quoting by hand.
    fs::write(file, config.to_string()).expect("a kubeconfig");
}
