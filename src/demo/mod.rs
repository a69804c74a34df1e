//! The article in fifteen seconds: three nodes, an allocator and a router in
//! one process, without root and without a cluster.
//!
//! ```text
//!   config/demo/*.yaml --> Store <-- statuses -- allocator
//!                            |
//!        +-------------------+-------------------+
//!        v                   v                   v
//!      node1               node2               node3        the daemon, three times
//!   127.0.0.101         127.0.0.102         127.0.0.103
//!        +---- BGP over TCP, iBGP, TCP MD5 "foo" ----+
//!                            v
//!                  router, 127.0.0.1:11790
//! ```
//!
//! Only Kubernetes and the network between are left out, and so is what is lost
//! without a closed connection, as when a power supply dies: the daemons, the
//! sessions and the configuration are what runs in a cluster. Each step changes
//! something, waits until both tables are as the story wants them, and shows
//! them.

mod cluster;
mod nodes;
pub mod router;
mod scene;
mod story;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::config;
use crate::page::Page;
use crate::runtime::log::Level;
use crate::runtime::signals;
use cluster::Cluster;
use nodes::{NAMES, Nodes};
use router::{Router, Setup};
use scene::Scene;

/// The article's configuration, with the demo's router put in.
pub(crate) const CONFIG: &str = include_str!("../../config/demo/config.yaml");
/// The port that stands in it.
pub(crate) const PORT: u16 = 11790;

/// What the user asked for.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Do not wait for a reader, and end when the story does.
    pub once: bool,
    /// Port of the router on 127.0.0.1.
    pub port: u16,
}

/// Why there was no story.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The router's port cannot be had.
    #[error("cannot open the demo's router at {address}: {cause}; {}", mend(.cause))]
    Router {
        /// Where it should listen.
        address: SocketAddr,
        /// The system's words.
        cause: std::io::Error,
    },
    /// A table was not as it should be.
    #[error("{0} of the story's steps did not go as they should")]
    Wrong(usize),
    /// With `once`: it was stopped before its end.
    #[error("the story was not told to its end")]
    Interrupted,
    /// No runtime.
    #[error(transparent)]
    Runtime(#[from] crate::runtime::Error),
}

/// What might help. Past the port itself only the password can fail.
fn mend(cause: &std::io::Error) -> &'static str {
    use std::io::ErrorKind::{AddrInUse, AddrNotAvailable, PermissionDenied};
    match cause.kind() {
        AddrInUse | AddrNotAvailable | PermissionDenied => "choose another port with --port",
        _ => "does this kernel have TCP MD5 (RFC 2385)?",
    }
}

/// The configuration, with the router at this port.
fn config_for(port: u16) -> String {
    let port = format!("peer-port: {port}\n");
    CONFIG.replace(&format!("peer-port: {PORT}\n"), &port)
}

/// Tells the story; without `once` it stays until SIGINT or SIGTERM.
///
/// # Errors
/// The router cannot listen, a step went wrong, or one that was told `once` was
/// stopped before its end.
pub fn run(options: Options, level: Level) -> Result<(), Error> {
    crate::runtime::block_on(async { Ok(tell(options, level).await) })?
}

async fn tell(options: Options, level: Level) -> Result<(), Error> {
    let stop = signals::stop_on_signal();
    let text = config_for(options.port);
    let router = open_router(options.port, &text)?;
    let mut cluster = Cluster::default();
    for name in NAMES {
        cluster.add_node(name);
    }
    let nodes = Nodes::new(cluster.store.clone(), level);
    let pace = if options.once {
        Duration::ZERO
    } else {
        story::PACE
    };
    // With `once` the exit code is worth something without a reader, too.
    let unread = match options.once {
        true => CancellationToken::new(),
        false => stop.clone(),
    };
    let mut scene = Scene {
        cluster,
        nodes,
        router,
        page: Page::new(unread),
        pace,
        stop: stop.clone(),
        steps: 0,
        wrong: 0,
        cut: false,
    };
    let told = story::tell(&mut scene, &text).await;
    if !options.once && !stop.is_cancelled() {
        story::epilogue(&scene);
        stop.cancelled().await;
    }
    scene.nodes.stop_all().await;
    match scene.wrong {
        0 if options.once && !told => Err(Error::Interrupted),
        0 => Ok(()),
        wrong => Err(Error::Wrong(wrong)),
    }
}

/// The router that the configuration speaks of.
fn open_router(port: u16, text: &str) -> Result<Router, Error> {
    let address: SocketAddr = (Ipv4Addr::LOCALHOST, port).into();
    let failed = |cause| Error::Router { address, cause };
    let texts = config::manifest::read(text, config::manifest::KEY);
    let parsed = texts.ok().and_then(|texts| texts.first()?.parse().ok());
    let peer = parsed.and_then(|parsed| parsed.config.peers.first().map(Arc::clone));
    let peer = peer.expect("the demo's own configuration has a peer");
    let speakers = NAMES.map(nodes::address);
    let setup = Setup {
        asn: peer.peer_asn,
        router_id: crate::bgp::types::RouterId::new(Ipv4Addr::LOCALHOST)
            .expect("it is not 0.0.0.0"),
        neighbours: speakers.to_vec(),
    };
    let (router, _) = Router::open(setup, address, peer.password.as_ref()).map_err(failed)?;
    Ok(router)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_put_in_and_nothing_else() {
        for port in [4, 1234, PORT] {
            let text = config_for(port);
            let texts = config::manifest::read(&text, config::manifest::KEY).expect("a ConfigMap");
            let parsed = texts[0].parse().expect("a good configuration");
            assert_eq!(parsed.config.peers[0].port, port);
            let back = text.replace(&format!("peer-port: {port}\n"), "peer-port: 11790\n");
            assert_eq!(back, CONFIG);
        }
    }

    #[test]
    fn the_mend_fits_the_cause() {
        let mend = |code| mend(&std::io::Error::from_raw_os_error(code));
        assert!(mend(libc::EADDRINUSE).contains("--port"));
        assert!(mend(libc::ENOPROTOOPT).contains("MD5"));
    }
}
