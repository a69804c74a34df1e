//! What `/state` shows: made when somebody looks, kept by nobody. Field names
//! are part of the interface: scripts read them.

use serde::Serialize;

/// How much a view should hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// What metrics need: no list of routes.
    Figures,
    /// Everything.
    Whole,
}

/// The whole answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// Version of the program.
    pub version: &'static str,
    /// The Node this process speaks for; empty for an allocator.
    pub node: String,
    /// How long the process runs, in seconds.
    pub uptime_seconds: u64,
    /// `None`, or what it still waits for.
    pub not_ready: Vec<&'static str>,
    /// The configuration in force.
    pub config: ConfigView,
    /// The allocator's half, if it runs here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allocator: Option<AllocatorView>,
    /// The speaker's half, if it runs here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speaker: Option<SpeakerView>,
}

/// The configuration in force, and what is wrong with the one that is not.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigView {
    /// Some configuration is in force.
    pub loaded: bool,
    /// The ConfigMap says something else, which could not be used.
    pub stale: bool,
    /// Where the one in force came from.
    pub source: String,
    /// Why the ConfigMap's text is not in force. Never holds a password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Accepted, but worth knowing.
    pub notes: Vec<String>,
}

/// What the allocator knows.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AllocatorView {
    /// This process holds the Lease.
    pub leads: bool,
    /// Who holds it, as far as this process knows.
    pub holder: String,
    /// Pools, in the order of preference. Only the leader knows them.
    pub pools: Vec<PoolView>,
    /// What every Service got, or why it got nothing. Only the leader knows.
    pub services: Vec<AllocationView>,
}

/// How full one pool is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolView {
    /// Its name.
    pub name: String,
    /// Addresses it can give out.
    pub total: u64,
    /// Addresses given out.
    pub in_use: u64,
    /// Services that hold them; fewer or more, for shared addresses and pairs.
    pub services: u64,
}

/// What one Service got.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AllocationView {
    /// Namespace/name.
    pub service: String,
    /// Its addresses.
    pub addresses: Vec<String>,
    /// InPool, Orphaned, poolIsLayer2, or why it has none: one word.
    pub reason: String,
    /// The pool, or the reason in a sentence.
    pub message: String,
}

/// What the speaker knows.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SpeakerView {
    /// Routers, in the order of the configuration.
    pub peers: Vec<PeerView>,
    /// What this node announces for every Service, or why it does not.
    pub services: Vec<AnnouncementView>,
    /// All routes that this node announces now.
    pub routes: Vec<RouteView>,
}

/// One Service as this node sees it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AnnouncementView {
    /// Namespace/name.
    pub service: String,
    /// Its addresses, each with what becomes of it.
    pub addresses: Vec<AddressView>,
    /// Why there is nothing to say of single addresses: one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
}

/// One address as this node sees it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AddressView {
    /// The address.
    pub address: String,
    /// The prefixes that are announced for it; empty with a reason.
    pub announced: Vec<String>,
    /// Why it is not announced: one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
}

/// One route.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteView {
    /// The prefix.
    pub prefix: String,
    /// igp or incomplete.
    pub origin: &'static str,
    /// As written in the configuration; absent = 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_pref: Option<u32>,
    /// Communities, `high:low`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub communities: Vec<String>,
}

/// One router.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerView {
    /// `address:port`.
    pub peer: String,
    /// Our AS.
    pub my_asn: u32,
    /// The router's AS.
    pub peer_asn: u32,
    /// The state's name in RFC 4271.
    pub state: String,
    /// How long it has been Established, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub established_seconds: Option<u64>,
    /// The last thing that went wrong, in words, and how long ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// When it will be dialled again, in seconds from now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_dial_seconds: Option<u64>,
    /// Our end of the connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_address: Option<String>,
    /// Capabilities that we offered.
    pub offered: Vec<String>,
    /// Capabilities that the router offered.
    pub received: Vec<String>,
    /// What holds for this session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub negotiated: Option<NegotiatedView>,
    /// Routes that it should have from us.
    pub wanted: usize,
    /// Routes that it was sent, how many.
    pub advertised: usize,
    /// Those routes; left out where only figures were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<String>,
    /// UPDATEs sent since the process started, withdrawals included.
    pub updates_sent: u64,
    /// Routes that it sent us, which we count and drop.
    pub prefixes_received: u64,
    /// UPDATEs that it sent us with faults that cost no session (RFC 7606).
    pub update_faults: u64,
}

/// What both sides agreed on.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NegotiatedView {
    /// Hold time in seconds; 0 = no timers.
    pub hold_seconds: u64,
    /// Families.
    pub families: Vec<String>,
    /// Four-octet AS numbers.
    pub four_octet_as: bool,
    /// Messages of up to 65535 octets.
    pub extended_messages: bool,
    /// The router may ask for the table again.
    pub route_refresh: bool,
    /// The router's BGP Identifier.
    pub peer_router_id: String,
}
