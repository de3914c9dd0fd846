//! Errors as Neutron names them: clients look at the name (`type`) rather than at the status.

use crate::cloud::{CloudError, ErrorBody};
use axum::http::StatusCode;
use serde_json::json;
use store::{NetworkError, StoreError};

/// Neutron's shape.
pub fn error_body(error: &CloudError, _request: &str) -> ErrorBody {
    let kind = match (error.kind, error.status.as_u16()) {
        ("", 400) => "HTTPBadRequest",
        ("", 401) => "HTTPUnauthorized",
        ("", 403) => "PolicyNotAuthorized",
        ("", 404) => "HTTPNotFound",
        ("", 405) => "HTTPMethodNotAllowed",
        ("", 409) => "HTTPConflict",
        ("", _) => "HTTPInternalServerError",
        (kind, _) => kind,
    };
    ErrorBody::json(&json!({"NeutronError": {"type": kind, "message": error.text, "detail": ""}}))
}

/// 400 `InvalidInput`: what is asked for does not go together.
pub fn invalid_input(text: impl std::fmt::Display) -> CloudError {
    CloudError::invalid(format!("Invalid input for operation: {text}.")).kind("InvalidInput")
}

/// 403 for an attribute that only others may give.
pub fn not_authorized(what: &str, who: &str) -> CloudError {
    CloudError::forbidden(format!("{what} is disallowed by policy: it takes {who}."))
        .kind("PolicyNotAuthorized")
}

/// 404 of a resource, for those that are another's too.
pub fn not_found(what: &str, ident: &str) -> CloudError {
    let (kind, text) = match what {
        "Network" => ("NetworkNotFound", "could not be found"),
        "Subnet" => ("SubnetNotFound", "could not be found"),
        "Port" => ("PortNotFound", "could not be found"),
        "Security group" => ("SecurityGroupNotFound", "does not exist"),
        "Security group rule" => ("SecurityGroupRuleNotFound", "does not exist"),
        "Extension" => ("ExtensionNotFound", "is not served"),
        "Agent" => ("AgentNotFound", "could not be found"),
        "Tag" => ("TagNotFound", "could not be found"),
        _ => ("HTTPNotFound", "could not be found"),
    };
    let ident: String = ident.chars().take(100).collect();
    CloudError::not_found(format!("{what} {ident} {text}.")).kind(kind)
}

impl From<NetworkError> for CloudError {
    fn from(error: NetworkError) -> Self {
        let text = format!("{error}.");
        let conflict = |kind| CloudError::conflict(text.clone()).kind(kind);
        match &error {
            NetworkError::Store(StoreError::NotFound { what, ident }) => not_found(what, ident),
            NetworkError::Store(_) => match error {
                NetworkError::Store(error) => error.into(),
                _ => conflict(""),
            },
            NetworkError::AddressInUse { .. } => conflict("IpAddressInUse"),
            NetworkError::NoAddress { .. } => conflict("IpAddressGenerationFailure"),
            NetworkError::BadAddress(_) => invalid_input(error),
            NetworkError::MacInUse { .. } => conflict("MacAddressInUse"),
            NetworkError::OverQuota { .. } => conflict("OverQuota"),
            NetworkError::FlatInUse(_) => conflict("FlatNetworkInUse"),
            NetworkError::VlanInUse { .. } => conflict("VlanIdInUse"),
            NetworkError::NoVlan(_) => {
                CloudError::new(StatusCode::SERVICE_UNAVAILABLE, text).kind("NoNetworkAvailable")
            }
            NetworkError::Overlap { .. } => invalid_input(error),
            NetworkError::HasPorts { what: "network", .. } => conflict("NetworkInUse"),
            NetworkError::HasPorts { .. } => conflict("SubnetInUse"),
            NetworkError::PortInUse { .. } => conflict("PortInUse"),
            NetworkError::GroupInUse(_) => conflict("SecurityGroupInUse"),
        }
    }
}
