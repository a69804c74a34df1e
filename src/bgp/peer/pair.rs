//! The two connections that can stand with one peer.

use super::Role;
use crate::bgp::fsm::Connection;

/// The connections by role.
#[derive(Debug, Default)]
pub(super) struct Pair {
    active: Option<Connection>,
    passive: Option<Connection>,
}

impl Pair {
    pub(super) fn of(&mut self, role: Role) -> &mut Option<Connection> {
        match role {
            Role::Active => &mut self.active,
            Role::Passive => &mut self.passive,
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Role, &Connection)> {
        let active = self.active.iter().map(|c| (Role::Active, c));
        active.chain(self.passive.iter().map(|c| (Role::Passive, c)))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.active.is_none() && self.passive.is_none()
    }
}
