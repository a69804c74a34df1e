//! Users, faults and restarts in any order.
