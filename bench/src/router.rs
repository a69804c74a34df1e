//! A router that only listens: it accepts sessions on loopback and notes when
//! each prefix came and went, to the microsecond. One thread a session, so that
//! nothing stands between the octets and the clock.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use loods::bgp::types::{Asn, Family, Prefix, RouterId};
use loods::bgp::wire::message::{Capability, Message, Open};
use loods::bgp::wire::{self, DecodeContext};

/// What one speaker told.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Which session this is, counted over all speakers.
    session: u64,
    /// Every prefix that it announces, and when that came last.
    pub routes: BTreeMap<Prefix, Instant>,
    /// Every prefix that it withdrew last, and when.
    pub withdrawn: BTreeMap<Prefix, Instant>,
    /// When the session was established.
    pub up: Option<Instant>,
    /// When the last UPDATE came.
    pub last_update: Option<Instant>,
    /// When the first End-of-RIB for IPv4 came.
    pub end_of_rib: Option<Instant>,
    /// UPDATEs with prefixes so far.
    pub updates: u64,
    /// Prefixes announced so far, repeated ones too.
    pub announced: u64,
    /// The session ended.
    pub down: bool,
}

/// What all speakers told, by their addresses.
pub type AllTold = BTreeMap<IpAddr, Told>;

/// All that the router heard.
#[derive(Clone, Default)]
pub struct Router {
    shared: Arc<(Mutex<AllTold>, Condvar)>,
    sessions: Arc<AtomicU64>,
}

impl Router {
    /// Answers whoever comes to this listener, as this AS (iBGP). Who came
    /// before has waited in the listener's queue until now.
    pub fn serve(listener: TcpListener, asn: Asn) -> Self {
        let router = Self::default();
        let hearing = router.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let hearing = hearing.clone();
                std::thread::spawn(move || {
                    let Ok(peer) = stream.peer_addr() else { return };
                    let session = hearing.sessions.fetch_add(1, Ordering::Relaxed);
                    if let Err(error) = hearing.hear(stream, peer.ip(), session, asn) {
                        eprintln!("router: session with {}: {error}", peer.ip());
                    }
                    if let Some(told) = hearing.lock().get_mut(&peer.ip())
                        && told.session == session
                    {
                        told.down = true;
                    }
                    hearing.shared.1.notify_all();
                });
            }
        });
        router
    }

    /// Waits until `done` holds for what was heard, and answers with its value.
    pub fn wait<T>(
        &self,
        limit: Duration,
        mut done: impl FnMut(&AllTold) -> Option<T>,
    ) -> Option<T> {
        let deadline = Instant::now() + limit;
        let mut told = self.lock();
        loop {
            if let Some(value) = done(&told) {
                return Some(value);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            told = self
                .shared
                .1
                .wait_timeout(told, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Forgets sessions that are over, and the counts and withdrawals of the others.
    pub fn forget(&self) {
        let mut told = self.lock();
        told.retain(|_, told| !told.down);
        for told in told.values_mut() {
            told.withdrawn.clear();
            told.updates = 0;
            told.announced = 0;
        }
    }

    /// What each speaker has said, in a line, for an error's text.
    pub fn summary(&self) -> String {
        let told = self.lock();
        let line = |(from, told): (&IpAddr, &Told)| {
            let state = match (told.down, told.up) {
                (true, _) => "ended",
                (false, Some(_)) => "up",
                (false, None) => "opening",
            };
            format!(
                "{from}: {state}, {} routes in {} UPDATEs",
                told.routes.len(),
                told.updates
            )
        };
        format!(
            "the router has heard [{}]",
            told.iter().map(line).collect::<Vec<_>>().join("; ")
        )
    }

    fn lock(&self) -> MutexGuard<'_, AllTold> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(
        &self,
        mut stream: TcpStream,
        from: IpAddr,
        session: u64,
        asn: Asn,
    ) -> Result<(), String> {
        let words = |error: std::io::Error| error.to_string();
        stream.set_nodelay(true).map_err(words)?;
        let open = Open {
            asn,
            hold_time: 90,
            router_id: RouterId::new(Ipv4Addr::new(192, 0, 2, 1)).ok_or("zero router id")?,
            capabilities: vec![
                Capability::Multiprotocol(Family::Ipv4),
                Capability::Multiprotocol(Family::Ipv6),
                Capability::FourOctetAs(asn),
                Capability::ExtendedMessage,
            ],
        };
        let mut out = Vec::new();
        Message::Open(open).encode(&mut out);
        Message::Keepalive.encode(&mut out);
        stream.write_all(&out).map_err(words)?;
        let context = DecodeContext {
            four_octet_as: true,
            ibgp: true,
        };
        self.lock().insert(
            from,
            Told {
                session,
                ..Told::default()
            },
        );
        let mut buffer = Vec::with_capacity(1 << 17);
        let mut chunk = vec![0; 1 << 16];
        loop {
            let count = stream.read(&mut chunk).map_err(words)?;
            let now = Instant::now();
            if count == 0 {
                return Ok(());
            }
            buffer.extend_from_slice(&chunk[..count]);
            let mut used = 0;
            while let Some(length) =
                wire::frame(&buffer[used..], 65535).map_err(|n| n.to_string())?
            {
                let message = wire::decode(&buffer[used..used + length], &context)
                    .map_err(|n| n.to_string())?;
                used += length;
                match message {
                    Message::Keepalive => {
                        self.lock().entry(from).or_default().up.get_or_insert(now);
                        let mut answer = Vec::new();
                        Message::Keepalive.encode(&mut answer);
                        stream.write_all(&answer).map_err(words)?;
                        self.shared.1.notify_all();
                    }
                    Message::Update(update) => {
                        let mut all = self.lock();
                        let told = all.entry(from).or_default();
                        told.last_update = Some(now);
                        if update.end_of_rib == Some(Family::Ipv4) {
                            told.end_of_rib.get_or_insert(now);
                        } else if update.end_of_rib.is_none() {
                            told.updates += 1;
                        }
                        told.announced += update.reach.len() as u64;
                        for prefix in update.unreach {
                            told.routes.remove(&prefix);
                            told.withdrawn.insert(prefix, now);
                        }
                        for prefix in update.reach {
                            told.withdrawn.remove(&prefix);
                            told.routes.insert(prefix, now);
                        }
                        drop(all);
                        self.shared.1.notify_all();
                    }
                    Message::Notification(notification) => return Err(notification.to_string()),
                    Message::Open(_) | Message::RouteRefresh(_) => {}
                }
            }
            buffer.drain(..used);
        }
    }
}
