//! One TCP socket, set up as a BGP session wants it before it dials: MD5 key,
//! source address, TTL, class of service. The one file with `unsafe`: the
//! option that carries the MD5 key is in no crate, so it is set here by hand.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::bgp::peer::PeerSettings;
use crate::config::{Password, Peer};

/// Network control traffic: DSCP CS6, what routers themselves send BGP with.
const CS6: u32 = 0xC0;
/// How much later than the session's own timers the kernel gives up.
const AFTER_THE_MACHINE: Duration = Duration::from_secs(60);

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 16;

/// What went wrong before or during a dial, in words for the person on call.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The kernel did not take the password: without it the peer is not dialled.
    #[error(
        "the TCP MD5 password of peer {peer} cannot be set: {source}; does this kernel have TCP MD5 (RFC 2385)?"
    )]
    Password {
        /// Address and port dialled.
        peer: SocketAddr,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The source address is not one of this node's.
    #[error(
        "source-address {address} cannot be used to dial {peer}: {source}; is it an address of this node?"
    )]
    Source {
        /// The configured source.
        address: IpAddr,
        /// Address and port dialled.
        peer: SocketAddr,
        /// The kernel's answer.
        source: io::Error,
    },
    /// `peer-address` has a zone that names no interface of this node.
    #[error("peer-address {address}%{zone}: this node has no interface {zone}")]
    Zone {
        /// The configured address.
        address: IpAddr,
        /// The interface as written.
        zone: Box<str>,
    },
    /// Nobody answered, or refused.
    #[error("cannot connect to {peer}: {source}{}", if *.md5 { MD5_HINT } else { "" })]
    Connect {
        /// Address and port dialled.
        peer: SocketAddr,
        /// A password is set: a wrong one looks like silence.
        md5: bool,
        /// The kernel's answer.
        source: io::Error,
    },
    /// No socket could be had.
    #[error("cannot open a socket for peer {peer}: {source}")]
    Socket {
        /// Address and port dialled.
        peer: SocketAddr,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// A kernel that gets a segment without the right MD5 signature drops it in silence.
const MD5_HINT: &str = " (a password that differs on the two sides looks like this, too)";

/// Dials a peer. The future is dropped to give up.
pub async fn dial(peer: &Peer) -> Result<TcpStream, DialError> {
    let remote = remote(peer)?;
    let socket = prepare(peer, remote)?;
    let md5 = peer.password.is_some();
    let stream = TcpSocket::from_std_stream(socket.into())
        .connect(remote)
        .await;
    stream.map_err(|source| DialError::Connect {
        peer: remote,
        md5,
        source,
    })
}

/// Listens for speakers that dial; every segment of those in `speakers` must
/// be signed with `password`.
pub fn listen(
    address: SocketAddr,
    speakers: &[IpAddr],
    password: Option<&Password>,
) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    for speaker in speakers {
        if let Some(password) = password {
            set_md5_key(&socket, (*speaker, 0).into(), password.0.as_bytes())?;
        }
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// The address from which the kernel would reach a peer now, without sending
/// anything: for a router id before the first dial. `None` without a route.
pub fn local_address_towards(peer: &Peer) -> Option<IpAddr> {
    if let Some(source) = peer.source {
        return Some(source);
    }
    let remote = remote(peer).ok()?;
    let any: IpAddr = match remote {
        SocketAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(remote).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

fn remote(peer: &Peer) -> Result<SocketAddr, DialError> {
    let address = match peer.address {
        IpAddr::V4(v4) => return Ok(SocketAddrV4::new(v4, peer.port).into()),
        IpAddr::V6(v6) => v6,
    };
    let scope = match &peer.zone {
        None => 0,
        Some(zone) => interface_index(zone).ok_or_else(|| DialError::Zone {
            address: peer.address,
            zone: Box::from(&**zone),
        })?,
    };
    Ok(SocketAddrV6::new(address, peer.port, 0, scope).into())
}

fn prepare(peer: &Peer, remote: SocketAddr) -> Result<Socket, DialError> {
    let no_socket = |source| DialError::Socket {
        peer: remote,
        source,
    };
    let socket = Socket::new(
        Domain::for_address(remote),
        Type::STREAM,
        Some(Protocol::TCP),
    )
    .map_err(no_socket)?;
    socket.set_nonblocking(true).map_err(no_socket)?;
    socket.set_tcp_nodelay(true).map_err(no_socket)?;
    if let Some(password) = &peer.password {
        // Before the SYN: it must be signed already (RFC 2385 §2.0).
        set_md5_key(&socket, remote, password.0.as_bytes()).map_err(|source| {
            DialError::Password {
                peer: remote,
                source,
            }
        })?;
    }
    if let Some(address) = peer.source {
        let local = SockAddr::from(match (address, remote) {
            // A link-local address is one of a link: the peer's.
            (IpAddr::V6(v6), SocketAddr::V6(remote)) if v6.is_unicast_link_local() => {
                SocketAddrV6::new(v6, 0, 0, remote.scope_id()).into()
            }
            _ => SocketAddr::new(address, 0),
        });
        socket.bind(&local).map_err(|source| DialError::Source {
            address,
            peer: remote,
            source,
        })?;
    }
    // Who ends a session is the machine: by the hold timer, which sees a dead
    // peer, or by the send hold timer, which sees one that reads nothing. The
    // kernel would count the closed window of a busy peer as death, so it comes
    // last: for a session without timers, and for what a closed one left behind.
    let give_up = PeerSettings::send_hold_time(peer.hold_time) + AFTER_THE_MACHINE;
    socket
        .set_tcp_user_timeout(Some(give_up))
        .map_err(no_socket)?;
    // Only a hint for queues on the way: a host that refuses it still peers.
    let one_hop = peer.ebgp_multihop == Some(false) && peer.my_asn != peer.peer_asn;
    match remote {
        SocketAddr::V4(_) => {
            let _ = socket.set_tos_v4(CS6);
            if one_hop {
                socket.set_ttl_v4(1).map_err(no_socket)?;
            }
        }
        SocketAddr::V6(_) => {
            let _ = socket.set_tclass_v6(CS6);
            if one_hop {
                socket.set_unicast_hops_v6(1).map_err(no_socket)?;
            }
        }
    }
    Ok(socket)
}

/// `struct tcp_md5sig` of the kernel's interface (linux/tcp.h).
#[repr(C)]
#[derive(Clone, Copy)]
struct TcpMd5Sig {
    address: libc::sockaddr_storage,
    flags: u8,
    prefix_length: u8,
    key_length: u16,
    interface_index: i32,
    key: [u8; libc::TCP_MD5SIG_MAXKEYLEN],
}

const _: () = assert!(
    size_of::<TcpMd5Sig>() == 216,
    "the kernel's tcp_md5sig has 216 octets"
);

fn set_md5_key(socket: &Socket, remote: SocketAddr, password: &[u8]) -> io::Result<()> {
    let mut key = [0; libc::TCP_MD5SIG_MAXKEYLEN];
    let Some(place) = key.get_mut(..password.len()) else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "it has {} octets and the kernel takes {}",
                password.len(),
                libc::TCP_MD5SIG_MAXKEYLEN
            ),
        ));
    };
    place.copy_from_slice(password);
    let remote = SockAddr::from(remote);
    let option = TcpMd5Sig {
        address: storage_of(&remote),
        flags: 0,
        prefix_length: 0,
        key_length: u16::try_from(password.len())
            .expect("at most TCP_MD5SIG_MAXKEYLEN, checked above"),
        interface_index: 0,
        key,
    };
    set_option(socket, libc::IPPROTO_TCP, libc::TCP_MD5SIG, &option)
}

#[allow(unsafe_code)]
fn storage_of(address: &SockAddr) -> libc::sockaddr_storage {
    // SAFETY: all-zero octets are a valid sockaddr_storage; SockAddr promises
    // that `len` octets from `as_ptr` are readable, and never more than a storage.
    unsafe {
        let mut storage: libc::sockaddr_storage = std::mem::zeroed();
        std::ptr::copy_nonoverlapping(
            address.as_ptr().cast::<u8>(),
            (&raw mut storage).cast::<u8>(),
            (address.len() as usize).min(size_of::<libc::sockaddr_storage>()),
        );
        storage
    }
}

#[allow(unsafe_code)]
fn set_option<T: Copy>(socket: &Socket, level: i32, name: i32, value: &T) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let length =
        libc::socklen_t::try_from(size_of::<T>()).expect("an option has a few hundred octets");
    // SAFETY: the descriptor is open as long as `socket` is borrowed; `value`
    // points to `length` readable octets of a plain `repr(C)` value.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const *value).cast(),
            length,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[allow(unsafe_code)]
fn interface_index(name: &str) -> Option<u32> {
    let name = std::ffi::CString::new(name).ok()?;
    // SAFETY: `name` is a string that ends in a zero octet and lives over the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    (index != 0).then_some(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket() -> Socket {
        Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket")
    }

    fn peer(address: &str) -> Peer {
        let text = format!("peers: [{{my-asn: 1, peer-asn: 1, peer-address: \"{address}\"}}]");
        let parsed = crate::config::parse(&text).expect("a good configuration");
        Peer::clone(&parsed.config.peers[0])
    }

    #[test]
    fn the_kernel_takes_a_key_of_eighty_octets_and_no_longer_one() {
        let remote = "127.0.0.1:179".parse().expect("an address");
        set_md5_key(&socket(), remote, &[b'x'; 80]).expect("80 octets fit");
        let refused = set_md5_key(&socket(), remote, &[b'x'; 81]).expect_err("81 octets do not");
        assert!(refused.to_string().contains("81 octets"), "{refused}");
    }

    #[tokio::test]
    async fn a_listener_hears_only_who_knows_the_password() {
        let local = "127.0.0.1".parse().expect("an address");
        let password = Password("hush".into());
        let listener = listen((local, 0).into(), &[local], Some(&password)).expect("a listener");
        let to = listener.local_addr().expect("bound");
        let mut knows = peer("127.0.0.1");
        knows.port = to.port();
        let unsigned = tokio::spawn(dial_owned(knows.clone()));
        knows.password = Some(Password("wrong".into()));
        let wrong = tokio::spawn(dial_owned(knows.clone()));
        tokio::task::yield_now().await;
        // The marker: whoever else was let in would be accepted before it.
        knows.password = Some(password);
        let signed = dial(&knows).await.expect("connected");
        let (_, from) = listener.accept().await.expect("accepted");
        assert_eq!(from, signed.local_addr().expect("bound"));
        assert!(!unsigned.is_finished() && !wrong.is_finished());
    }

    async fn dial_owned(peer: Peer) -> Result<TcpStream, DialError> {
        dial(&peer).await
    }

    #[test]
    fn a_route_to_loopback_starts_at_loopback() {
        let peer = peer("127.0.0.1");
        assert_eq!(
            local_address_towards(&peer),
            Some("127.0.0.1".parse().expect("an address"))
        );
    }

    #[test]
    fn a_zone_that_is_no_interface_is_named() {
        let mut peer = peer("fe80::1");
        peer.zone = Some("nosuch0".into());
        let refused = remote(&peer).expect_err("there is no such interface");
        assert_eq!(
            refused.to_string(),
            "peer-address fe80::1%nosuch0: this node has no interface nosuch0"
        );
    }
}
