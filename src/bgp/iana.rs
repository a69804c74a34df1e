//! Code points that IANA assigned to BGP, with their names.
//!
//! Only what a speaker writes, judges or shows. Each table makes a module of
//! constants and a `name` function, so that a number has one home and one name.

macro_rules! code_points {
    ($(#[$doc:meta])* $table:ident { $($point:ident = $value:literal, $name:literal;)+ }) => {
        $(#[$doc])*
        pub mod $table {
            $(#[doc = $name] pub const $point: u8 = $value;)+

            /// The assigned name; `None` for a number this table lacks.
            pub fn name(code: u8) -> Option<&'static str> {
                match code {
                    $($value => Some($name),)+
                    _ => None,
                }
            }
        }
    };
}

code_points! {
    /// Message types (RFC 4271 §4.1, RFC 2918 §3).
    message_type {
        OPEN = 1, "OPEN";
        UPDATE = 2, "UPDATE";
        NOTIFICATION = 3, "NOTIFICATION";
        KEEPALIVE = 4, "KEEPALIVE";
        ROUTE_REFRESH = 5, "ROUTE-REFRESH";
    }
}

code_points! {
    /// Error codes of a NOTIFICATION (RFC 4271 §4.5, RFC 7313 §5, RFC 9687 §5).
    error {
        MESSAGE_HEADER = 1, "Message Header Error";
        OPEN_MESSAGE = 2, "OPEN Message Error";
        UPDATE_MESSAGE = 3, "UPDATE Message Error";
        HOLD_TIMER_EXPIRED = 4, "Hold Timer Expired";
        FINITE_STATE_MACHINE = 5, "Finite State Machine Error";
        CEASE = 6, "Cease";
        ROUTE_REFRESH_MESSAGE = 7, "ROUTE-REFRESH Message Error";
        SEND_HOLD_TIMER_EXPIRED = 8, "Send Hold Timer Expired";
    }
}

code_points! {
    /// Subcodes of a Message Header Error (RFC 4271 §6.1).
    header {
        CONNECTION_NOT_SYNCHRONIZED = 1, "Connection Not Synchronized";
        BAD_MESSAGE_LENGTH = 2, "Bad Message Length";
        BAD_MESSAGE_TYPE = 3, "Bad Message Type";
    }
}

code_points! {
    /// Subcodes of an OPEN Message Error (RFC 4271 §6.2, RFC 5492 §5, RFC 9234 §4.2).
    open {
        UNSUPPORTED_VERSION = 1, "Unsupported Version Number";
        BAD_PEER_AS = 2, "Bad Peer AS";
        BAD_BGP_IDENTIFIER = 3, "Bad BGP Identifier";
        UNSUPPORTED_OPTIONAL_PARAMETER = 4, "Unsupported Optional Parameter";
        AUTHENTICATION_FAILURE = 5, "Authentication Failure (deprecated)";
        UNACCEPTABLE_HOLD_TIME = 6, "Unacceptable Hold Time";
        UNSUPPORTED_CAPABILITY = 7, "Unsupported Capability";
        ROLE_MISMATCH = 11, "Role Mismatch";
    }
}

code_points! {
    /// Subcodes of an UPDATE Message Error (RFC 4271 §6.3).
    update {
        MALFORMED_ATTRIBUTE_LIST = 1, "Malformed Attribute List";
        UNRECOGNIZED_WELL_KNOWN_ATTRIBUTE = 2, "Unrecognized Well-known Attribute";
        MISSING_WELL_KNOWN_ATTRIBUTE = 3, "Missing Well-known Attribute";
        ATTRIBUTE_FLAGS = 4, "Attribute Flags Error";
        ATTRIBUTE_LENGTH = 5, "Attribute Length Error";
        INVALID_ORIGIN = 6, "Invalid ORIGIN Attribute";
        AS_ROUTING_LOOP = 7, "AS Routing Loop (deprecated)";
        INVALID_NEXT_HOP = 8, "Invalid NEXT_HOP Attribute";
        OPTIONAL_ATTRIBUTE = 9, "Optional Attribute Error";
        INVALID_NETWORK_FIELD = 10, "Invalid Network Field";
        MALFORMED_AS_PATH = 11, "Malformed AS_PATH";
    }
}

code_points! {
    /// Subcodes of a Finite State Machine Error (RFC 6608 §3).
    fsm {
        UNEXPECTED_IN_OPEN_SENT = 1, "Unexpected Message in OpenSent State";
        UNEXPECTED_IN_OPEN_CONFIRM = 2, "Unexpected Message in OpenConfirm State";
        UNEXPECTED_IN_ESTABLISHED = 3, "Unexpected Message in Established State";
    }
}

code_points! {
    /// Subcodes of a Cease (RFC 4486 §3, RFC 8538 §3, RFC 9384 §3).
    cease {
        MAXIMUM_PREFIXES = 1, "Maximum Number of Prefixes Reached";
        ADMINISTRATIVE_SHUTDOWN = 2, "Administrative Shutdown";
        PEER_DECONFIGURED = 3, "Peer De-configured";
        ADMINISTRATIVE_RESET = 4, "Administrative Reset";
        CONNECTION_REJECTED = 5, "Connection Rejected";
        OTHER_CONFIGURATION_CHANGE = 6, "Other Configuration Change";
        COLLISION_RESOLUTION = 7, "Connection Collision Resolution";
        OUT_OF_RESOURCES = 8, "Out of Resources";
        HARD_RESET = 9, "Hard Reset";
        BFD_DOWN = 10, "BFD Down";
    }
}

code_points! {
    /// Subcodes of a ROUTE-REFRESH Message Error (RFC 7313 §5).
    route_refresh {
        INVALID_MESSAGE_LENGTH = 1, "Invalid Message Length";
    }
}

code_points! {
    /// Path attribute types.
    attribute {
        ORIGIN = 1, "ORIGIN";
        AS_PATH = 2, "AS_PATH";
        NEXT_HOP = 3, "NEXT_HOP";
        MULTI_EXIT_DISC = 4, "MULTI_EXIT_DISC";
        LOCAL_PREF = 5, "LOCAL_PREF";
        ATOMIC_AGGREGATE = 6, "ATOMIC_AGGREGATE";
        AGGREGATOR = 7, "AGGREGATOR";
        COMMUNITIES = 8, "COMMUNITIES";
        ORIGINATOR_ID = 9, "ORIGINATOR_ID";
        CLUSTER_LIST = 10, "CLUSTER_LIST";
        MP_REACH_NLRI = 14, "MP_REACH_NLRI";
        MP_UNREACH_NLRI = 15, "MP_UNREACH_NLRI";
        EXTENDED_COMMUNITIES = 16, "EXTENDED_COMMUNITIES";
        AS4_PATH = 17, "AS4_PATH";
        AS4_AGGREGATOR = 18, "AS4_AGGREGATOR";
        IPV6_EXTENDED_COMMUNITIES = 25, "IPV6_EXTENDED_COMMUNITIES";
        LARGE_COMMUNITIES = 32, "LARGE_COMMUNITIES";
        ONLY_TO_CUSTOMER = 35, "ONLY_TO_CUSTOMER";
    }
}

code_points! {
    /// Capability codes (RFC 5492 registry).
    capability {
        MULTIPROTOCOL = 1, "multiprotocol";
        ROUTE_REFRESH = 2, "route refresh";
        OUTBOUND_ROUTE_FILTERING = 3, "outbound route filtering";
        EXTENDED_NEXT_HOP = 5, "extended next hop";
        EXTENDED_MESSAGE = 6, "extended message";
        ROLE = 9, "role";
        GRACEFUL_RESTART = 64, "graceful restart";
        FOUR_OCTET_AS = 65, "four-octet AS";
        ADD_PATH = 69, "additional paths";
        ENHANCED_ROUTE_REFRESH = 70, "enhanced route refresh";
        LONG_LIVED_GRACEFUL_RESTART = 71, "long-lived graceful restart";
        FQDN = 73, "hostname";
        SOFTWARE_VERSION = 75, "software version";
        ROUTE_REFRESH_CISCO = 128, "route refresh (Cisco, before the RFC)";
    }
}

code_points! {
    /// Optional parameter types of OPEN (RFC 5492 §4, RFC 9072 §2).
    optional_parameter {
        CAPABILITIES = 2, "Capabilities";
        EXTENDED_LENGTH = 255, "Extended Length";
    }
}

code_points! {
    /// Segment types of an AS path (RFC 4271 §4.3, RFC 5065 §3).
    as_path_segment {
        AS_SET = 1, "AS_SET";
        AS_SEQUENCE = 2, "AS_SEQUENCE";
        AS_CONFED_SEQUENCE = 3, "AS_CONFED_SEQUENCE";
        AS_CONFED_SET = 4, "AS_CONFED_SET";
    }
}

/// Flags of a path attribute (RFC 4271 §4.3).
pub mod attribute_flag {
    /// Optional, not well-known.
    pub const OPTIONAL: u8 = 0x80;
    /// Passed on by those who do not know it.
    pub const TRANSITIVE: u8 = 0x40;
    /// Somebody on the way did not know it.
    pub const PARTIAL: u8 = 0x20;
    /// The length has two octets.
    pub const EXTENDED_LENGTH: u8 = 0x10;
}

/// Address family identifier of IPv4.
pub const AFI_IPV4: u16 = 1;
/// Address family identifier of IPv6.
pub const AFI_IPV6: u16 = 2;
/// Subsequent address family identifier of unicast forwarding (RFC 4760 §6).
pub const SAFI_UNICAST: u8 = 1;

/// The name of a NOTIFICATION's subcode. `None`: unspecific (0) or unassigned.
pub fn subcode_name(code: u8, subcode: u8) -> Option<&'static str> {
    match code {
        error::MESSAGE_HEADER => header::name(subcode),
        error::OPEN_MESSAGE => open::name(subcode),
        error::UPDATE_MESSAGE => update::name(subcode),
        error::FINITE_STATE_MACHINE => fsm::name(subcode),
        error::CEASE => cease::name(subcode),
        error::ROUTE_REFRESH_MESSAGE => route_refresh::name(subcode),
        _ => None,
    }
}
