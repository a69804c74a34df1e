//! An `https` URL: the CA that was given is believed, and nobody else.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use loods::storage::heketi::client::{Credentials, Heketi, Trust};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::{KEY, limits, wanted};
use crate::stand_in::StandIn;

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a CA")
}

/// TLS in front of a stand-in, with a certificate for `name`.
async fn in_front_of(
    server: &StandIn,
    ca: &CertifiedIssuer<'static, KeyPair>,
    name: &str,
) -> SocketAddr {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, ca).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        );
    let acceptor = TlsAcceptor::from(Arc::new(config.expect("a certificate with its key")));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let behind = server.address();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut near) = acceptor.accept(stream).await else {
                    return;
                };
                let mut far = TcpStream::connect(behind).await.expect("the stand-in");
                let _ = copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    address
}

fn client(address: SocketAddr, trust: &Trust) -> Heketi {
    let credentials = Credentials::new("admin", KEY.as_bytes()).expect("a key");
    Heketi::new(
        &format!("https://{address}"),
        Some(credentials),
        trust,
        limits(),
    )
    .expect("a URL")
}

#[tokio::test]
async fn the_given_authority_is_believed_and_no_other() {
    let server = StandIn::start(KEY);
    let ca = authority("ours");
    let address = in_front_of(&server, &ca, "127.0.0.1").await;

    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("heketi-ca-{}.pem", std::process::id()));
    std::fs::write(&file, ca.pem()).expect("a file");
    let trust = Trust::file(&file).expect("a CA");
    std::fs::remove_file(&file).expect("it was there");
    client(address, &trust)
        .ensure_volume(&wanted("pvc-1"))
        .await
        .expect("it is made");

    let other = Trust::pem("another", authority("another").pem().as_bytes()).expect("a CA");
    let error = client(address, &other)
        .volumes()
        .await
        .expect_err("not its CA");
    assert_eq!(error.kind(), "unreachable");
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    // Nobody believes an empty store, which is what a host without CAs has.
    assert!(RootCertStore::empty().is_empty());
}

#[tokio::test]
async fn a_certificate_for_another_name_is_not_believed() {
    let server = StandIn::start(KEY);
    let ca = authority("ours");
    let address = in_front_of(&server, &ca, "gfs9.example").await;
    let trust = Trust::pem("the CA", ca.pem().as_bytes()).expect("a CA");
    let error = client(address, &trust)
        .volumes()
        .await
        .expect_err("another name");
    assert_eq!(error.kind(), "unreachable");
    assert!(error.to_string().contains("not valid for name"), "{error}");
    assert_eq!(server.lines(), [""; 0]);
}
