//! Faults that are no bad luck: strangers' volumes, hosts that are away, hosts
//! that forgot.
