//! What `/state` and the metrics show of a leader.

use crate::lb::decide::{Decider, Decision, PoolUse};
use crate::observe::views::{AllocationView, AllocatorView, PoolView};

/// Pools and Services as they stand.
pub(super) fn of(decider: &Decider) -> AllocatorView {
    AllocatorView {
        leads: true,
        holder: String::new(),
        pools: decider.pools().iter().map(pool).collect(),
        services: decider
            .decisions()
            .map(|decision| allocation(&decision))
            .collect(),
    }
}

fn pool(of: &PoolUse) -> PoolView {
    let (ipv4, ipv6) = (&of.usage.ipv4, &of.usage.ipv6);
    let number = |n: u128| u64::try_from(n).unwrap_or(u64::MAX);
    PoolView {
        name: of.usage.name.to_string(),
        total: number(ipv4.total.saturating_add(ipv6.total)),
        in_use: number(ipv4.in_use.saturating_add(ipv6.in_use)),
        services: of.services as u64,
    }
}

fn allocation(decision: &Decision<'_>) -> AllocationView {
    let message = match decision.refusal {
        Some(refusal) => refusal.to_string(),
        None => decision.pool.unwrap_or_default().to_owned(),
    };
    AllocationView {
        service: decision.service.to_string(),
        addresses: decision.addresses.iter().map(ToString::to_string).collect(),
        reason: decision.reason().to_owned(),
        message,
    }
}
