//! The certificate that the listeners serve with, from files.

use anyhow::{Context, Result, bail};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// Reads what TLS needs, if it is configured; the error names the file and what is wrong with it.
pub fn read(certificate: Option<&Path>, key: Option<&Path>) -> Result<Option<TlsAcceptor>> {
    let (certificate, key) = match (certificate, key) {
        (Some(certificate), Some(key)) => (certificate, key),
        (None, None) => return Ok(None),
        (Some(_), None) => bail!("api.tls_certificate needs api.tls_key = \"FILE\" beside it"),
        (None, Some(_)) => bail!("api.tls_key needs api.tls_certificate = \"FILE\" beside it"),
    };
    let certificate_is = || format!("api.tls_certificate {}", certificate.display());
    let key_is = || format!("api.tls_key {}", key.display());
    let pem = std::fs::read(certificate).with_context(certificate_is)?;
    let chain =
        CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>().with_context(certificate_is)?;
    if chain.is_empty() {
        bail!("{}: there is no certificate in it; PEM is expected", certificate_is());
    }
    let pem = std::fs::read(key).with_context(key_is)?;
    let secret = PrivateKeyDer::from_pem_slice(&pem).with_context(|| {
        format!("{}: there is no private key in it; PEM without a password is expected", key_is())
    })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .with_context(|| format!("{} and {} can't be used together", certificate_is(), key_is()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}
