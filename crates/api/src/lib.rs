//! The HTTP APIs, a folder a service.
//!
//! A request goes through [`serve`] from top to bottom: request id, route, microversion, authentication, body, handler, headers.
//! Which routes there are is data ([`route`], and a table in each service's `mod.rs`): path, microversion, success status and
//! policy of a route stand in its row, so that routing, the discovery documents and the tests read the same table.
//!
//! Handlers parse and answer. What a user wants goes to the conductor or, where no hardware is concerned, to the store.

#![forbid(unsafe_code)]

pub mod args;
pub mod auth;
mod authorize;
pub mod baremetal;
mod body;
pub mod call;
pub mod cloud;
pub mod compute;
pub mod error;
pub mod gate;
pub mod identity;
pub mod image;
pub mod limits;
pub mod metadata;
pub mod metrics;
pub mod network;
pub mod object_store;
mod openapi;
pub mod placement;
pub mod policy;
pub mod route;
mod serve;
pub mod upkeep;
pub mod versions;
mod wording;

use axum::Router;
use conductor::Conductor;
use model::driver::Enabled;
use std::sync::Arc;
use std::time::Duration;
use store::Store;

/// All that handlers need. Made once by the binary.
pub struct ApiState {
    /// The database.
    pub store: Store,
    /// Who acts.
    pub conductor: Conductor,
    /// What can be set.
    pub settings: Settings,
    /// When this process began to serve.
    pub started_at: jiff::Timestamp,
    /// Nodes as they were shown.
    pub shown_nodes: baremetal::ShownNodes,
}

/// What can be set of the API. Defaults are Ironic's where Ironic has the option.
#[derive(Debug)]
pub struct Settings {
    /// Who may call.
    pub auth: auth::Auth,
    /// Serves the cloud around the bare-metal API too ([`cloud`]).
    pub cloud: bool,
    /// Hardware types and interfaces on offer.
    pub drivers: Enabled,
    /// `[api] public_endpoint`: how links begin; else they begin with what the client called.
    pub public_url: Option<String>,
    /// `[api] max_limit`.
    pub max_limit: i64,
    /// `[conductor] allow_deleting_available_nodes`.
    pub allow_deleting_available_nodes: bool,
    /// `[api] project_admin_can_manage_own_nodes`.
    pub project_admin_can_manage_own_nodes: bool,
    /// `[DEFAULT] default_resource_class`.
    pub default_resource_class: Option<String>,
    /// `[DEFAULT] default_conductor_group`: what new nodes get that name none.
    pub default_conductor_group: String,
    /// `[api] ramdisk_heartbeat_timeout`.
    pub heartbeat_timeout: Duration,
    /// `[agent] tls_minimum_version`, told to the agent.
    pub agent_tls_min_version: String,
    /// `[agent] allow_md5_checksum`, told to the agent.
    pub allow_md5_checksum: bool,
    /// Steps that users may not ask for, as `interface.step` (`[api] disallow_{clean,deploy,service}_steps`).
    pub disallowed_steps: Vec<String>,
    /// The image service's.
    pub images: image::ImageSettings,
    /// How much is worked on at once.
    pub gates: gate::Gates,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            auth: auth::Auth::None,
            cloud: false,
            drivers: Enabled::default(),
            public_url: None,
            max_limit: 1000,
            allow_deleting_available_nodes: true,
            project_admin_can_manage_own_nodes: true,
            default_resource_class: None,
            default_conductor_group: String::new(),
            heartbeat_timeout: Duration::from_secs(300),
            agent_tls_min_version: "1.3".to_owned(),
            allow_md5_checksum: true,
            disallowed_steps: vec!["vendor.send_raw".to_owned()],
            images: image::ImageSettings::default(),
            gates: gate::Gates::default(),
        }
    }
}

/// Marks requests that came over TLS, as an extension that whoever listens adds: links in their answers begin with `https`.
#[derive(Debug, Clone, Copy)]
pub struct OverTls;

/// The address of this host that a request came to, as an extension that whoever listens adds: by it a machine's agent reaches us.
#[derive(Debug, Clone, Copy)]
pub struct ArrivedAt(pub std::net::SocketAddr);

/// Every route, for operators and tenants.
pub fn operator_router(state: Arc<ApiState>) -> Router {
    serve::router(state.clone(), route::Audience::Operator).merge(image::machines::router(state))
}

/// Only what a ramdisk needs (discovery, lookup, heartbeat, images by signed links), for the provisioning network.
pub fn ramdisk_router(state: Arc<ApiState>) -> Router {
    serve::router(state.clone(), route::Audience::Ramdisk).merge(image::machines::router(state))
}
