//! The API server as the bench uses it: requests with bodies in JSON, and a
//! bare watch, which is the floor of every figure that begins with an event.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use futures::{AsyncBufReadExt, StreamExt};
use http::Request;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

const MERGE_PATCH: &str = "application/merge-patch+json";
const JSON_PATCH: &str = "application/json-patch+json";

/// One client with one connection, used from one thread.
pub struct Api {
    runtime: Runtime,
    client: Client,
}

impl Api {
    /// A client by a kubeconfig file.
    pub fn connect(kubeconfig: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let client = runtime.block_on(async {
            let file = Kubeconfig::read_from(kubeconfig).expect("a kubeconfig that we wrote");
            let options = KubeConfigOptions::default();
            let mut config = Config::from_custom_kubeconfig(file, &options)
                .await
                .expect("a kubeconfig that we wrote");
            config.read_timeout = None;
            Client::try_from(config).expect("a client")
        });
        Self { runtime, client }
    }

    /// GETs a path.
    pub fn read(&self, path: &str) -> Value {
        self.ask("GET", path, "", None)
    }

    /// POSTs an object to its collection.
    pub fn create(&self, collection: &str, object: &Value) -> Value {
        self.ask("POST", collection, "application/json", Some(object))
    }

    /// A merge patch of one object.
    pub fn merge(&self, path: &str, change: &Value) -> Value {
        self.ask("PATCH", path, MERGE_PATCH, Some(change))
    }

    /// A list of JSON patch operations on one object.
    pub fn patch(&self, path: &str, operations: &Value) -> Value {
        self.ask("PATCH", path, JSON_PATCH, Some(operations))
    }

    /// DELETEs an object or a collection.
    pub fn delete(&self, path: &str) {
        self.ask("DELETE", path, "", None);
    }

    /// A failed request ends the bench: a figure with a failure in it is none.
    fn ask(&self, method: &str, path: &str, kind: &str, body: Option<&Value>) -> Value {
        let body = body
            .map(|body| body.to_string().into_bytes())
            .unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", kind);
        let request = request.body(body).expect("a request of our own making");
        match self.runtime.block_on(self.client.request(request)) {
            Ok(answer) => answer,
            Err(error) => panic!("{method} {path}: {error}"),
        }
    }
}

/// When each resourceVersion came by.
type Seen = Arc<(Mutex<BTreeMap<String, Instant>>, Condvar)>;

/// A watch that does nothing but look at the clock when a line is there: its
/// own connection, its own thread, decoding only after the clock was read.
pub struct BareWatch {
    seen: Seen,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl BareWatch {
    /// Watches a collection from now on; returns when the server has accepted it.
    pub fn start(kubeconfig: &Path, collection: &str) -> Self {
        let api = Api::connect(kubeconfig);
        let listed = api.read(&format!("{collection}?limit=1"));
        let from = listed["metadata"]["resourceVersion"]
            .as_str()
            .expect("a list has a version");
        let uri = format!("{collection}?watch=true&resourceVersion={from}");
        let seen = Seen::default();
        let (stop, stopped) = oneshot::channel();
        let (accepted, wait) = mpsc::sync_channel(1);
        let noting = Arc::clone(&seen);
        let thread = std::thread::spawn(move || {
            let request = Request::get(uri)
                .body(Vec::new())
                .expect("a request of our own making");
            api.runtime.block_on(async {
                let stream = api.client.request_stream(request).await.expect("a watch");
                accepted.send(()).expect("the starter waits");
                tokio::select! {
                    () = note(stream.lines(), &noting) => {}
                    _ = stopped => {}
                }
            });
        });
        wait.recv().expect("the watch is accepted");
        Self {
            seen,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// When the event with this resourceVersion was there.
    pub fn when(&self, version: &str) -> Instant {
        let (seen, change) = &*self.seen;
        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (seen, timeout) = change
            .wait_timeout_while(seen, Duration::from_secs(30), |seen| {
                !seen.contains_key(version)
            })
            .unwrap_or_else(PoisonError::into_inner);
        assert!(
            !timeout.timed_out(),
            "the bare watch never showed version {version}"
        );
        seen[version]
    }
}

impl Drop for BareWatch {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has panicked only if the bench is ending anyway.
            let _ = thread.join();
        }
    }
}

async fn note(
    mut lines: impl futures::Stream<Item = std::io::Result<String>> + Unpin,
    seen: &Seen,
) {
    while let Some(Ok(line)) = lines.next().await {
        let now = Instant::now();
        let event: Value = serde_json::from_str(&line).expect("an event in JSON");
        if let Some(version) = event["object"]["metadata"]["resourceVersion"].as_str() {
            let mut seen_now = seen.0.lock().unwrap_or_else(PoisonError::into_inner);
            seen_now.insert(version.to_owned(), now);
            seen.1.notify_all();
        }
    }
}
