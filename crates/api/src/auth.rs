//! Who calls: nobody in particular (`none`), a user of an htpasswd file (`basic`), or whoever Keystone says (`keystone`).
//!
//! Only Keystone tells projects and roles apart, so only its callers are held to the rules of [`crate::policy`], as in Ironic; the
//! others are operators.

mod fingerprint;
mod identity;
mod keystone;
mod password_file;
mod token_cache;

pub use identity::{Identity, ProjectName};
pub use keystone::{Keystone, KeystoneError, KeystoneSettings};
pub use password_file::{PasswordFile, PasswordFileError};

use crate::error::{ApiError, Shape};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use std::sync::Arc;

/// Who calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller {
    /// User name, for people; none where nobody asked for one.
    pub user: Option<String>,
    /// What Keystone says of the user. None: no rules apply.
    pub identity: Option<Arc<Identity>>,
}

/// How callers are told apart.
#[derive(Debug)]
pub enum Auth {
    /// Everybody is the operator. For loopback only.
    None,
    /// HTTP basic authentication against a file.
    Basic(PasswordFile),
    /// Tokens that Keystone issues and validates.
    Keystone(Box<Keystone>),
}

impl Auth {
    /// Identifies a caller, or refuses: 401, or 503 where Keystone does not answer.
    pub async fn identify(&self, headers: &HeaderMap) -> Result<Caller, ApiError> {
        match self {
            Auth::None => Ok(Caller::default()),
            Auth::Basic(file) => Ok(Caller { user: Some(file.identify(headers).await?), identity: None }),
            Auth::Keystone(keystone) => {
                let identity = keystone.identify(headers).await?;
                Ok(Caller { user: Some(identity.user_name.clone()), identity: Some(identity) })
            }
        }
    }

    /// The challenge that goes with a 401.
    pub fn challenge(&self) -> Option<HeaderValue> {
        match self {
            Auth::None => None,
            Auth::Basic(_) => Some(HeaderValue::from_static("Basic realm=\"Baremetal API\"")),
            Auth::Keystone(keystone) => Some(keystone.challenge()),
        }
    }
}

/// A refusal that goes with a challenge.
fn refuse(status: StatusCode, text: impl Into<String>) -> ApiError {
    ApiError { shape: Shape::Challenge, ..ApiError::new(status, text) }
}
