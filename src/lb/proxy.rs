//! Waiting for the node's own proxy.
//!
//! That a pod became ready is told to Loods and to the node's proxy at the same
//! moment. Loods is the faster of the two: kube-proxy writes its rules once a
//! second at most. Under policy Local a node drops the connections for which
//! its rules name no pod, so a route that arrives before the rules attracts
//! connections only to lose them. In a rollout that is some hundreds of
//! milliseconds for each pod.
//!
//! Kubernetes has an answer for load balancers that wonder whether to send to a
//! node: `spec.healthCheckNodePort`. kube-proxy answers there with 200 once
//! its rules name a pod of the node. So while other nodes have ready pods, a
//! route of this node is announced only after that answer. Where nobody else
//! serves nothing can be lost by being early, and nobody is asked; nor for what
//! is announced already. A starting process asks too: its node may be starting.
//!
//! Here is only which questions are open. The asking, and what to make of a
//! node where nobody answers, is the shell's work.

use std::collections::BTreeMap;
use std::num::NonZeroU16;

use super::advertise::{Service, Verdict};
use super::reason::Reason;
use crate::bgp::types::Family;
use crate::facts::ServiceKey;

/// Something to ask the node's proxy, or to ask no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Whose pods.
    pub service: ServiceKey,
    /// Of which family.
    pub family: Family,
    /// Its health check port; `None`: the answer is not wanted any more.
    pub port: Option<NonZeroU16>,
}

/// What is known of the node's proxy, for those Services where it matters.
#[derive(Debug, Default)]
pub struct Proxy {
    states: BTreeMap<(ServiceKey, Family), State>,
    questions: Vec<Question>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Asked at this port, and not answered.
    Asked(NonZeroU16),
    /// It sends to pods on this node.
    Forwards,
}

impl Proxy {
    /// Whether it is known to send to a Service's pods on this node.
    pub fn forwards(&self, service: &ServiceKey, family: Family) -> bool {
        self.states.get(&(service.clone(), family)) == Some(&State::Forwards)
    }

    /// Takes in that it does. Answers whether that was waited for.
    pub fn answer(&mut self, service: &ServiceKey, family: Family) -> bool {
        match self.states.get_mut(&(service.clone(), family)) {
            Some(state @ State::Asked(_)) => {
                *state = State::Forwards;
                true
            }
            Some(State::Forwards) | None => false,
        }
    }

    /// Asks what a new decision on a Service needs, and drops what it does not.
    /// `ready_here` says of each family whether a pod on this node is ready.
    pub fn settle<R>(
        &mut self,
        key: &ServiceKey,
        service: &Service,
        verdicts: &[Verdict<R>],
        ready_here: impl Fn(Family) -> bool,
    ) {
        let waiting = |verdict: &Verdict<R>| verdict.refusal == Some(Reason::ProxyNotReady);
        if self.states.is_empty() && !verdicts.iter().any(waiting) {
            return;
        }
        for family in [Family::Ipv4, Family::Ipv6] {
            let waits = verdicts
                .iter()
                .any(|verdict| Family::of(verdict.address) == family && waiting(verdict));
            let known = self.states.get(&(key.clone(), family)).copied();
            match (waits.then_some(service.health_port).flatten(), known) {
                (Some(port), Some(State::Asked(asked))) if port == asked => {}
                (Some(port), _) => {
                    let state = State::Asked(port);
                    self.states.insert((key.clone(), family), state);
                    self.questions.push(Question {
                        service: key.clone(),
                        family,
                        port: Some(port),
                    });
                }
                // The next pod that becomes ready here is another question.
                (None, Some(State::Forwards)) if ready_here(family) => {}
                (None, _) => self.drop(key, family),
            }
        }
    }

    /// Forgets a Service that is gone.
    pub fn forget(&mut self, key: &ServiceKey) {
        self.drop(key, Family::Ipv4);
        self.drop(key, Family::Ipv6);
    }

    fn drop(&mut self, key: &ServiceKey, family: Family) {
        if let Some(State::Asked(_)) = self.states.remove(&(key.clone(), family)) {
            self.questions.push(Question {
                service: key.clone(),
                family,
                port: None,
            });
        }
    }

    /// The questions since the last call, in their order.
    pub fn take(&mut self) -> Vec<Question> {
        std::mem::take(&mut self.questions)
    }
}
