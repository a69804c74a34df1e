use std::time::Duration;

use futures::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

const DEADLINE: Duration = Duration::from_secs(30);

fn peer(port: u16, hold_time: &str) -> Arc<Peer> {
    let text = format!(
        "peers: [{{my-asn: 1, peer-asn: 2, peer-address: 127.0.0.1, peer-port: {port}, hold-time: {hold_time}}}]"
    );
    let parsed = crate::config::parse(&text).expect("a good configuration");
    Arc::clone(&parsed.config.peers[0])
}

/// A router takes one session from an address: while it still has the old one,
/// it would refuse the new one.
#[tokio::test]
async fn a_changed_peer_is_dialled_when_the_old_session_has_ended() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("it is bound").port();
    let mut speakers = Speakers::new("node".into(), Arc::default());
    let everything = async {
        speakers.set_peers(&[peer(port, "90s")], &BTreeMap::new());
        let (mut old, _) = listener.accept().await.expect("the first dial");
        old.read_u8().await.expect("its OPEN");
        speakers.set_peers(&[peer(port, "30s")], &BTreeMap::new());
        let mut said = Vec::new();
        old.read_to_end(&mut said).await.expect("no reset");
        let text = String::from_utf8_lossy(&said).into_owned();
        assert!(text.contains("peer changed in the configuration"));
        let second = listener.accept().now_or_never();
        assert!(second.is_none(), "dialled beside the old session");
        old.shutdown().await.expect("the end of the old session");
        drop(old);
        let (new, _) = listener.accept().await.expect("the second dial");
        // A peer that is gone may take its time: the stop waits for it, too.
        speakers.set_peers(&[], &BTreeMap::new());
        assert_eq!(speakers.leaving.len(), 1);
        drop(new);
        speakers.stop("enough").await;
    };
    tokio::time::timeout(DEADLINE, everything)
        .await
        .expect("in time");
}
