//! What a Service's status should say.

use std::net::IpAddr;

use crate::facts::{ConditionFact, ServiceKey};

/// A status to be written by the leader, decided on one version of the Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusWrite {
    /// The Service.
    pub key: ServiceKey,
    /// Its uid: the write must fail on a re-created Service.
    pub uid: Box<str>,
    /// The version this was decided on: the write must fail if it is no longer that.
    pub resource_version: Box<str>,
    /// `status.loadBalancer.ingress`, each with ipMode VIP; empty clears the
    /// list. `None` leaves it alone.
    pub ingress: Option<Vec<IpAddr>>,
    /// Condition `loods.io/Allocated`. `None` leaves it alone.
    pub condition: Option<ConditionFact>,
    /// Take condition `loods.io/Allocated` away (the Service is no longer ours).
    pub drop_condition: bool,
    /// Annotation `loods.io/orphan-attributes`: `None` leaves it, `Some(None)` removes it.
    pub orphan_attributes: Option<Option<Box<str>>>,
    /// Remove annotation `loods.io/reassign`: it was obeyed.
    pub clear_reassign: bool,
}
