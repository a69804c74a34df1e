//! Mutual TLS between the manager and its agents, from three files in one
//! directory: `ca.pem`, `cert.pem`, `key.pem`.
//!
//! The authority is for nothing else: whoever has a certificate of it for
//! [`MANAGER`] is the manager, and an agent is who has one for the name that
//! was dialled. The files are read once, at the start.

use std::path::Path;
use std::sync::Arc;

use rustls::client::verify_server_name;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// The name in the manager's certificate.
pub const MANAGER: &str = "manager.loods.io";

/// Why the files are no identity.
#[derive(Debug, thiserror::Error)]
#[error("--tls: {0}; `loods storage certificates` makes such files")]
pub struct BadFiles(String);

/// Who we are, and whom we believe.
struct Identity {
    roots: Arc<RootCertStore>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    fn read(directory: &Path) -> Result<Self, BadFiles> {
        let file = |name: &str| directory.join(name);
        let bad = |name: &str, why: String| BadFiles(format!("{}: {why}", file(name).display()));
        let certificates = |name: &str| {
            CertificateDer::pem_file_iter(file(name))
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| bad(name, error.to_string()))
        };
        let mut roots = RootCertStore::empty();
        for authority in certificates("ca.pem")? {
            roots
                .add(authority)
                .map_err(|error| bad("ca.pem", error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(bad("ca.pem", "no certificate in it".into()));
        }
        let key = PrivateKeyDer::from_pem_file(file("key.pem"))
            .map_err(|error| bad("key.pem", error.to_string()))?;
        Ok(Self {
            roots: Arc::new(roots),
            chain: certificates("cert.pem")?,
            key,
        })
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn unusable(directory: &Path) -> impl Fn(rustls::Error) -> BadFiles {
    let directory = directory.display().to_string();
    move |error| BadFiles(format!("{directory}: key.pem and cert.pem: {error}"))
}

/// For an agent: only certificates of our authority are let in.
pub fn server(directory: &Path) -> Result<ServerConfig, BadFiles> {
    let identity = Identity::read(directory)?;
    let verifier = WebPkiClientVerifier::builder_with_provider(identity.roots, provider())
        .build()
        .map_err(|error| BadFiles(format!("{}: {error}", directory.display())))?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .and_then(|builder| {
            builder
                .with_client_cert_verifier(verifier)
                .with_single_cert(identity.chain, identity.key)
        })
        .map_err(unusable(directory))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// For the manager: an agent has a certificate of our authority, for the name
/// that is dialled.
pub fn client(directory: &Path) -> Result<ClientConfig, BadFiles> {
    let identity = Identity::read(directory)?;
    ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .and_then(|builder| {
            builder
                .with_root_certificates(identity.roots)
                .with_client_auth_cert(identity.chain, identity.key)
        })
        .map_err(unusable(directory))
}

/// Whether a certificate, of our authority already, is the manager's.
pub(super) fn is_manager(certificate: &CertificateDer<'_>) -> bool {
    let Ok(name) = ServerName::try_from(MANAGER) else {
        return false;
    };
    ParsedCertificate::try_from(certificate)
        .is_ok_and(|parsed| verify_server_name(&parsed, &name).is_ok())
}
