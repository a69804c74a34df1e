//! Whom an `https` URL is believed.

use std::path::Path;
use std::sync::Arc;

use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::storage::heketi::error::HeketiError;

/// Which authorities may sign the server's certificate.
#[derive(Clone, Debug, Default)]
pub enum Trust {
    /// Those of the host. The image of Loods has none.
    #[default]
    Host,
    /// These alone.
    Authorities(Vec<CertificateDer<'static>>),
}

impl Trust {
    /// From PEM text, such as a ConfigMap holds.
    ///
    /// # Errors
    /// No certificate in it, or one that does not decode.
    pub fn pem(what: &str, text: &[u8]) -> Result<Self, HeketiError> {
        let invalid =
            |cause: String| HeketiError::Invalid(format!("CA of Heketi, {what}: {cause}").into());
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
        let found = found.map_err(|cause| invalid(cause.to_string()))?;
        if found.is_empty() {
            return Err(invalid("no certificate in it; it should be PEM".into()));
        }
        Ok(Self::Authorities(found))
    }

    /// From a PEM file.
    ///
    /// # Errors
    /// As [`pem`](Self::pem), and a file that cannot be read.
    pub fn file(path: &Path) -> Result<Self, HeketiError> {
        let what = path.display().to_string();
        let text = std::fs::read(path).map_err(|cause| {
            HeketiError::Invalid(format!("CA of Heketi, {what}: {cause}").into())
        })?;
        Self::pem(&what, &text)
    }

    /// `https`: whether certificates will be looked at; the host's are many,
    /// and not read for nothing.
    pub(super) fn connector(
        &self,
        tcp: HttpConnector,
        https: bool,
    ) -> Result<HttpsConnector<HttpConnector>, HeketiError> {
        let invalid = |cause: String| HeketiError::Invalid(cause.into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|cause| invalid(format!("TLS: {cause}")))?;
        let config = match self {
            Self::Host if https => builder
                .with_native_roots()
                .map_err(|cause| {
                    invalid(format!(
                        "no CA was given for Heketi, and this host has none that could be used: {cause}"
                    ))
                })?
                .with_no_client_auth(),
            Self::Host => builder
                .with_root_certificates(RootCertStore::empty())
                .with_no_client_auth(),
            Self::Authorities(certificates) => {
                let mut store = RootCertStore::empty();
                for certificate in certificates {
                    store
                        .add(certificate.clone())
                        .map_err(|cause| invalid(format!("CA of Heketi: {cause}")))?;
                }
                builder.with_root_certificates(store).with_no_client_auth()
            }
        };
        Ok(HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp))
    }
}
