//! Who calls: nobody in particular (`none`), a user of an htpasswd file (`basic`), whoever Keystone says (`keystone`), or whoever the
//! site's own identity service issued a token to (`own`).
//!
//! Only the last two tell projects and roles apart, so only their callers are held to the rules of [`crate::policy`], as in Ironic; the
//! others are operators.

pub(crate) mod fingerprint;
mod identity;
mod keystone;
mod own;
mod password_file;
mod token_cache;

pub use identity::{Domain, Identity, Project, ProjectName};
pub use keystone::{Keystone, KeystoneError, KeystoneSettings};
pub use own::{Own, OwnError};
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
    /// Tokens of the site's own identity service.
    Own(Box<Own>),
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
            Auth::Own(own) => {
                let identity = own.identify(headers).await?;
                Ok(Caller { user: Some(identity.user_name.clone()), identity: Some(identity) })
            }
        }
    }

    /// The site's own identity service, if that is who tells callers apart.
    pub(crate) fn own(&self) -> Option<&Own> {
        match self {
            Auth::Own(own) => Some(own),
            _ => None,
        }
    }

    /// The challenge that goes with a 401 to somebody who called this process at `base_url`.
    pub fn challenge(&self, base_url: &str) -> Option<HeaderValue> {
        match self {
            Auth::None => None,
            Auth::Basic(_) => Some(HeaderValue::from_static("Basic realm=\"Baremetal API\"")),
            Auth::Keystone(keystone) => Some(keystone.challenge()),
            Auth::Own(_) => Own::challenge(base_url),
        }
    }
}

/// A refusal that goes with a challenge.
fn refuse(status: StatusCode, text: impl Into<String>) -> ApiError {
    ApiError { shape: Shape::Challenge, ..ApiError::new(status, text) }
}
