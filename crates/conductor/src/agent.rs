//! Calls to the ramdisk agent (`conductor.md` §13): HTTPS against exactly the certificate that its heartbeat brought.

use crate::measure;
use model::Secret;
use model::agent::{CommandList, CommandRequest, CommandResult};
use model::node::AgentLink;
use reqwest::StatusCode;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;

/// Why a call to an agent failed, by what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// It has not called back yet, or its heartbeat can't be used.
    #[error("the agent can't be called: {0}")]
    Unknown(String),
    /// No answer: it may be booting again, or be gone. Look again later.
    #[error("the agent at {url} did not answer: {reason}")]
    Unreachable {
        /// Its URL.
        url: String,
        /// Why.
        reason: String,
    },
    /// It is doing something else.
    #[error("the agent at {url} is busy: {reason}")]
    Busy {
        /// Its URL.
        url: String,
        /// What it says.
        reason: String,
    },
    /// It answered with a refusal or with something that can't be read.
    #[error("the agent at {url} refused {call}: {reason}")]
    Refused {
        /// Its URL.
        url: String,
        /// What was asked.
        call: String,
        /// What it says.
        reason: String,
    },
}

/// One agent, for the length of one visit to its node. Clones share its connection.
#[derive(Clone)]
pub struct AgentClient {
    http: reqwest::Client,
    url: String,
    token: String,
    /// What it was made from: URL, token and certificate.
    link: (Option<String>, Option<Secret>, Option<String>),
}

/// A reply larger than this is refused: inventories and logs are the largest.
const REPLY_LIMIT: usize = 16 << 20;

impl AgentClient {
    /// Does it call the agent that `link` tells of?
    pub fn is_of(&self, link: &AgentLink) -> bool {
        (&self.link.0, &self.link.1, &self.link.2) == (&link.url, &link.token, &link.verify_ca)
    }

    /// Prepares calls to the agent that `link` tells of.
    pub fn new(link: &AgentLink, timeout: Duration) -> Result<Self, AgentError> {
        let url =
            link.url.clone().ok_or_else(|| AgentError::Unknown("it has sent no heartbeat yet".into()))?;
        let token = link
            .token
            .as_ref()
            .ok_or_else(|| AgentError::Unknown("it has not looked its node up, so it has no token".into()))?;
        let unusable = |reason: String| AgentError::Unknown(format!("{url}: {reason}"));
        let tls = match &link.verify_ca {
            Some(pem) => CertificateDer::from_pem_slice(pem.as_bytes())
                .map_err(|error| unusable(format!("its certificate can't be read: {error}")))
                .and_then(|pinned| tls_for(Some(pinned)).map_err(|error| unusable(error.to_string())))?,
            // An agent that announced no certificate can serve without TLS only, where that is allowed.
            None => tls_for(None).map_err(|error| unusable(error.to_string()))?,
        };
        let http = reqwest::Client::builder()
            .timeout(timeout)
            .connect_timeout(timeout.min(Duration::from_secs(10)))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .tls_backend_preconfigured(tls)
            .build()
            .map_err(|error| unusable(error.to_string()))?;
        Ok(Self {
            http,
            url: url.trim_end_matches('/').to_owned(),
            token: token.expose().to_owned(),
            link: (link.url.clone(), link.token.clone(), link.verify_ca.clone()),
        })
    }

    /// Starts a command (`wait` false) or carries it out to its end (`wait` true).
    pub async fn command(
        &self,
        name: &str,
        params: Map<String, Value>,
        wait: bool,
    ) -> Result<CommandResult, AgentError> {
        let body = serde_json::to_vec(&CommandRequest { name: name.to_owned(), params })
            .map_err(|error| AgentError::Unknown(error.to_string()))?;
        let request = self
            .http
            .post(self.commands_url(Some(wait)))
            .header("content-type", "application/json")
            .body(body);
        measure::agent(name, self.read(request, name)).await
    }

    /// Every command of this boot, oldest first.
    pub async fn commands(&self) -> Result<Vec<CommandResult>, AgentError> {
        let request = self.http.get(self.commands_url(None));
        let list = self.read::<CommandList>(request, "its list of commands");
        Ok(measure::agent("commands", list).await?.commands)
    }

    /// The token is of the URL alphabet (see `lookup.rs`), so that it needs no escaping.
    fn commands_url(&self, wait: Option<bool>) -> String {
        let wait = wait.map_or_else(String::new, |wait| format!("wait={wait}&"));
        format!("{}/v1/commands/?{wait}agent_token={}", self.url, self.token)
    }

    async fn read<T: serde::de::DeserializeOwned>(
        &self,
        request: reqwest::RequestBuilder,
        call: &str,
    ) -> Result<T, AgentError> {
        let unreachable = |error: reqwest::Error| AgentError::Unreachable {
            url: self.url.clone(),
            reason: causes(&error.without_url()),
        };
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > REPLY_LIMIT {
                return Err(self.refused(call, format!("its reply is larger than {REPLY_LIMIT} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_success() {
            return serde_json::from_slice(&body)
                .map_err(|error| self.refused(call, format!("its reply can't be read: {error}")));
        }
        let reason = fault_text(&body);
        if status == StatusCode::CONFLICT {
            return Err(AgentError::Busy { url: self.url.clone(), reason });
        }
        Err(self.refused(call, format!("HTTP {}: {reason}", status.as_u16())))
    }

    fn refused(&self, call: &str, reason: String) -> AgentError {
        AgentError::Refused { url: self.url.clone(), call: call.to_owned(), reason }
    }
}

/// The readable part of an agent's error body (`faultstring` or `error_message`), bounded.
fn fault_text(body: &[u8]) -> String {
    let text = match serde_json::from_slice::<Value>(body) {
        Ok(value) => ["faultstring", "message", "details", "error_message"]
            .iter()
            .find_map(|key| value.get(key).and_then(Value::as_str).map(str::to_owned))
            .unwrap_or_else(|| value.to_string()),
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    text.chars().take(500).collect()
}

/// An error with its causes in one line: reqwest's own text leaves the reason out.
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

fn tls_for(pinned: Option<CertificateDer<'static>>) -> Result<rustls::ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Arc::new(Pinned { certificate: pinned, provider: provider.clone() });
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}

/// Accepts one certificate and no other. The agent's is self-signed and, in the real agent, marked as a CA, so the usual path
/// building refuses it; comparing it whole is stricter than that anyway. Without one, every certificate is refused.
#[derive(Debug)]
struct Pinned {
    certificate: Option<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.certificate.as_ref().is_some_and(|known| known.as_ref() == end_entity.as_ref()) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::Error::General("not the certificate that the agent's heartbeat announced".into()))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
