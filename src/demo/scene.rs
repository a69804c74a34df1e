//! What a step of the story works with, and how it is judged.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::cluster::Cluster;
use super::nodes::{self, Nodes};
use super::router::Router;
use crate::page::Page;

/// A table that is not right by then is wrong.
const PATIENCE: Duration = Duration::from_secs(20);
/// An address that is not there.
pub(super) const PENDING: &str = "<pending>";

/// Everything on stage.
pub(super) struct Scene {
    pub cluster: Cluster,
    pub nodes: Nodes,
    pub router: Router,
    pub page: Page,
    /// Between two steps.
    pub pace: Duration,
    /// The user has seen enough.
    pub stop: CancellationToken,
    pub steps: usize,
    /// Steps that went wrong.
    pub wrong: usize,
    /// Somebody stopped it while something was waited for.
    pub cut: bool,
}

/// What both tables should say. What is not named should not be there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Expected {
    /// Addresses by Service; [`PENDING`] for none.
    pub services: BTreeMap<&'static str, &'static str>,
    /// Prefixes received from each node whose session stands.
    pub neighbours: BTreeMap<&'static str, usize>,
    /// Nodes by prefix.
    pub routes: BTreeMap<&'static str, Vec<&'static str>>,
}

impl Expected {
    /// A Service and its address.
    pub(super) fn service(&mut self, name: &'static str, address: &'static str) {
        self.services.insert(name, address);
    }

    /// The nodes that announce an address; none takes it away.
    pub(super) fn via(&mut self, prefix: &'static str, nodes: &[&'static str]) {
        if nodes.is_empty() {
            self.routes.remove(prefix);
        } else {
            self.routes.insert(prefix, nodes.to_vec());
        }
        self.count();
    }

    /// The nodes whose sessions stand.
    pub(super) fn up(&mut self, nodes: &[&'static str]) {
        self.neighbours = nodes.iter().map(|node| (*node, 0)).collect();
        self.count();
    }

    fn count(&mut self) {
        for (node, received) in &mut self.neighbours {
            *received = self.routes.values().filter(|by| by.contains(node)).count();
        }
    }
}

impl Scene {
    /// Begins a step; false when the user has had enough.
    pub(super) async fn step(&mut self, title: &str) -> bool {
        if self.cut || self.stop.is_cancelled() {
            return false;
        }
        if self.steps > 0 {
            let pause = tokio::time::sleep(self.pace);
            if self.stop.run_until_cancelled(pause).await.is_none() {
                return false;
            }
        }
        self.steps += 1;
        self.page.title(self.steps, title);
        true
    }

    /// Waits until everything is as expected, and counts what is not. `shown`
    /// says in words what was seen.
    pub(super) async fn expect(&mut self, expected: &Expected, shown: &str) {
        let begun = Instant::now();
        let seen = self.until(|scene| (scene.seen(expected) == *expected).then_some(()));
        match seen.await {
            Some(()) => {
                let took = begun.elapsed();
                self.page
                    .good(&format!("{shown} ({} ms)", took.as_millis()));
            }
            None if self.stop.is_cancelled() => self.cut = true,
            None => {
                self.wrong += 1;
                let seen = self.seen(expected);
                self.page
                    .bad(&format!("wanted {expected:?}\nseen   {seen:?}"));
            }
        }
    }

    /// Waits for a Warning about an object that says `words`, and shows it.
    pub(super) async fn expect_warning(&mut self, kind: &str, name: &str, words: &str) {
        let found = self.until(|scene| {
            scene
                .cluster
                .warning(name)
                .filter(|note| note.contains(words))
        });
        match found.await {
            Some(note) => {
                self.page.command(
                    "$",
                    &format!("kubectl describe {kind} {name}    # Events, Warning"),
                );
                self.page.note(&note);
            }
            None if self.stop.is_cancelled() => self.cut = true,
            None => {
                self.wrong += 1;
                let seen = self.cluster.warning(name);
                self.page
                    .bad(&format!("no Warning about {name} says '{words}': {seen:?}"));
            }
        }
    }

    /// What a node told the router when it went, which the router shows.
    pub(super) fn expect_last_words(&mut self, node: &str) {
        match self.router.last_words(nodes::address(node)) {
            Some(words) => self.page.note(&format!("the router heard: {words}")),
            None if self.stop.is_cancelled() => self.cut = true,
            None => {
                self.wrong += 1;
                self.page
                    .bad(&format!("{node} went without a word to the router"));
            }
        }
    }

    /// Since `before`, as [`Router::losses`] counted, the router lost nothing:
    /// a table that is right again may have been wrong meanwhile.
    pub(super) fn expect_no_loss(&mut self, before: u64) {
        let lost = self.router.losses() - before;
        if lost > 0 {
            self.wrong += 1;
            self.page
                .bad(&format!("{lost} routes or sessions were lost meanwhile"));
        }
    }

    /// Both tables as they are now.
    pub(super) fn show(&mut self) {
        let (services, routes) = (self.cluster.services(), self.router.table());
        self.page.table("$", "kubectl get svc", &services, false);
        self.page
            .table("#", "get router info routing-table bgp", &routes, true);
    }

    /// The router's neighbours as they are now.
    pub(super) fn show_summary(&mut self) {
        let summary = self.router.summary();
        self.page
            .table("#", "get router info bgp summary", &summary, false);
    }

    /// Tries again at each change, until there is something, patience ends or
    /// the user has had enough.
    async fn until<T>(&self, mut look: impl FnMut(&Self) -> Option<T>) -> Option<T> {
        let (mut objects, mut tables) = (self.cluster.store.changes(), self.router.changes());
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look(self) {
                return Some(found);
            }
            tokio::select! {
                Ok(()) = objects.changed() => {}
                Ok(()) = tables.changed() => {}
                () = self.stop.cancelled() => return None,
                () = tokio::time::sleep_until(deadline) => return None,
            }
        }
    }

    /// What is there, in the words of `expected`, as far as it has words for it.
    fn seen(&self, expected: &Expected) -> Expected {
        let node_of = |address: &IpAddr| {
            let found = nodes::NAMES
                .into_iter()
                .find(|node| nodes::address(node) == *address);
            found.unwrap_or("somewhere else")
        };
        let services = expected.services.keys().map(|name| {
            let address = self.cluster.address(name);
            let wanted = expected.services[name];
            let seen = match address.as_deref() {
                None => PENDING,
                Some(address) if address == wanted => wanted,
                Some(_) => "another address",
            };
            (*name, seen)
        });
        let neighbours = self.router.established();
        let routes = self.router.routes();
        let known = |prefix: &str| {
            let found = expected.routes.keys().find(|known| **known == prefix);
            found.copied().unwrap_or("another prefix")
        };
        Expected {
            services: services.collect(),
            neighbours: neighbours.iter().map(|(a, n)| (node_of(a), *n)).collect(),
            routes: routes
                .iter()
                .map(|(prefix, hops)| {
                    let hops = hops.keys().map(node_of).collect();
                    (known(&prefix.to_string()), hops)
                })
                .collect(),
        }
    }
}
