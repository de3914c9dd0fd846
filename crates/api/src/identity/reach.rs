//! Whom a caller may look after: everybody, or those of one domain.
//!
//! Operators look after all of the site, readers of the system may look at all of it. An admin of a domain looks after its users,
//! groups and projects, a reader of it looks at them. Whoever administers the domain of the operators (`default`) could make
//! itself one of them, as in Keystone: that role is for operators only.

use super::document::missing;
use super::error::{forbidden, not_found};
use super::tokens::caller;
use super::validated::Place;
use crate::cloud::{Call, CloudError};
use axum::http::Method;
use model::identity::DEFAULT_DOMAIN;

/// Whom a caller may look after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Everybody.
    All,
    /// Those of this domain.
    Domain(String),
}

/// Does the request only look?
fn only_looks(call: &Call) -> bool {
    matches!(call.method, Method::GET | Method::HEAD)
}

/// Whom the caller may do this to; none: nobody but, perhaps, itself.
pub async fn reach(call: &Call) -> Result<Option<Reach>, CloudError> {
    if call.is_operator() || (only_looks(call) && call.sees_all()) {
        return Ok(Some(Reach::All));
    }
    let token = caller(call).await?;
    let Place::Domain(domain) = &token.place else { return Ok(None) };
    let may = token.has_role("admin") || (only_looks(call) && token.has_role("reader"));
    Ok(may.then(|| Reach::Domain(domain.id.clone())))
}

/// The same for those who must reach somebody; 403 in the name of an action of Keystone's policy.
pub async fn required(call: &Call, action: &str) -> Result<Reach, CloudError> {
    reach(call).await?.ok_or_else(|| forbidden(action))
}

impl Reach {
    /// Does it cover what is in a domain?
    pub fn covers(&self, domain: &str) -> bool {
        match self {
            Reach::All => true,
            Reach::Domain(own) => own == domain,
        }
    }

    /// 404 in the words of something that is not there, unless it covers the domain.
    pub fn check(&self, domain: &str, what: &str, id: &str) -> Result<(), CloudError> {
        if self.covers(domain) { Ok(()) } else { Err(not_found(what, id)) }
    }

    /// The domain of something new: the one that is asked for, else the caller's own.
    pub async fn domain_for(&self, call: &Call, asked: Option<String>) -> Result<String, CloudError> {
        let domain = match (asked, self) {
            (Some(domain), _) => domain,
            (None, Reach::Domain(own)) => own.clone(),
            (None, Reach::All) => match &caller(call).await?.place {
                Place::Project(project, _) => project.domain_id.clone(),
                Place::Domain(domain) => domain.id.clone(),
                Place::System | Place::Unscoped => DEFAULT_DOMAIN.to_owned(),
            },
        };
        if domain.is_empty() {
            return Err(missing("domain_id", "request body"));
        }
        self.check(&domain, "domain", &domain)?;
        call.state
            .store
            .identity()
            .get::<model::identity::Domain>(&domain)
            .await
            .map_err(super::error::from_store)?;
        Ok(domain)
    }
}
