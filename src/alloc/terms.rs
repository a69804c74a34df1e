//! On which terms two Services may share one address: MetalLB's rules.

use std::fmt;

use crate::facts::{Port, ServiceFact, ServiceKey, TrafficPolicy, Transport};

/// What a Service brings to sharing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Annotation `allow-shared-ip`. `None`: it shares with nobody.
    pub sharing_key: Option<Box<str>>,
    /// `spec.ports`, sorted.
    pub ports: Box<[Port]>,
    /// The selector's text for policy Local, since each node must then send the
    /// traffic of all sharers to the same pods; empty for Cluster.
    pub backend: Box<str>,
}

/// The Service that holds an address, and why it cannot be shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocker {
    /// It holds the address.
    pub service: ServiceKey,
    /// What sharing fails at.
    pub rule: Rule,
}

/// Why two Services may not share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The asking Service has no sharing key.
    NoKey,
    /// The holder has another sharing key, or none.
    KeyDiffers,
    /// Both have this port.
    SamePort(Port),
    /// One has policy Local and other pods (or policy Cluster) behind the other.
    BackendDiffers,
}

impl Terms {
    /// Reads them off a Service.
    pub fn of(fact: &ServiceFact) -> Self {
        let mut ports = fact.ports.clone();
        ports.sort_unstable();
        Self {
            sharing_key: fact.asks.sharing_key.clone().filter(|key| !key.is_empty()),
            ports: ports.into(),
            backend: match fact.policy {
                TrafficPolicy::Local => fact.selector.clone(),
                TrafficPolicy::Cluster => Box::default(),
            },
        }
    }

    /// Why a Service on these terms may not join a holder on those; `None`: it may.
    pub fn conflict(&self, holder: &Terms) -> Option<Rule> {
        if self.sharing_key.is_none() {
            return Some(Rule::NoKey);
        }
        if self.sharing_key != holder.sharing_key {
            return Some(Rule::KeyDiffers);
        }
        if let Some(port) = self.ports.iter().find(|port| holder.ports.contains(port)) {
            return Some(Rule::SamePort(*port));
        }
        (self.backend != holder.backend).then_some(Rule::BackendDiffers)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rule::NoKey => f.write_str(
                "to share it, give both Services the same annotation metallb.io/allow-shared-ip",
            ),
            Rule::KeyDiffers => {
                f.write_str("its annotation metallb.io/allow-shared-ip is not the same")
            }
            Rule::SamePort(port) => {
                let transport = match port.transport {
                    Transport::Tcp => "TCP",
                    Transport::Udp => "UDP",
                    Transport::Sctp => "SCTP",
                };
                write!(f, "both have port {}/{transport}", port.number)
            }
            Rule::BackendDiffers => f.write_str(
                "with externalTrafficPolicy Local, both need that policy and the same selector",
            ),
        }
    }
}
