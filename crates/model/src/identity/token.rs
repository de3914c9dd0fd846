//! What a token says by itself. Names of claims are those of Keystone's JWS tokens where it has them.
//!
//! Who the user is and which roles it has is not in it: that is looked up each time, so that it is never stale.

use super::Scope;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The payload of a signed token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claims {
    /// The user's id.
    #[serde(rename = "sub")]
    pub user_id: String,
    /// When it was issued: seconds since 1970. To the microsecond, since what is revoked is what was issued before.
    #[serde(rename = "iat", with = "seconds")]
    pub issued_at: Timestamp,
    /// When it ends: seconds since 1970.
    #[serde(rename = "exp", with = "seconds")]
    pub expires_at: Timestamp,
    /// How its user was recognised: `password`, `token`, `application_credential`.
    #[serde(rename = "openstack_methods")]
    pub methods: Vec<String>,
    /// Its own audit id, and behind it that of the first token of a chain.
    #[serde(rename = "openstack_audit_ids")]
    pub audit_ids: Vec<String>,
    /// The project that it is for.
    #[serde(rename = "openstack_project_id", default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// The domain that it is for.
    #[serde(rename = "openstack_domain_id", default, skip_serializing_if = "Option::is_none")]
    pub domain_id: Option<String>,
    /// `all`, if it is for the whole site.
    #[serde(rename = "openstack_system", default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The application credential that it was got with.
    #[serde(rename = "openstack_app_cred_id", default, skip_serializing_if = "Option::is_none")]
    pub application_credential_id: Option<String>,
}

impl Claims {
    /// What it is for; none: unscoped.
    pub fn scope(&self) -> Option<Scope> {
        match (&self.project_id, &self.domain_id, &self.system) {
            (Some(project), ..) => Some(Scope::Project(project.clone())),
            (None, Some(domain), _) => Some(Scope::Domain(domain.clone())),
            (None, None, Some(_)) => Some(Scope::System),
            (None, None, None) => None,
        }
    }

    /// Makes it for a scope.
    pub fn set_scope(&mut self, scope: Option<&Scope>) {
        (self.project_id, self.domain_id, self.system) = match scope {
            Some(Scope::Project(id)) => (Some(id.clone()), None, None),
            Some(Scope::Domain(id)) => (None, Some(id.clone()), None),
            Some(Scope::System) => (None, None, Some("all".to_owned())),
            None => (None, None, None),
        };
    }

    /// Its own audit id.
    pub fn audit_id(&self) -> &str {
        self.audit_ids.first().map_or("", String::as_str)
    }
}

/// Times as JWT's `NumericDate`, which may have a fraction. Microseconds of this century fit a double exactly.
mod seconds {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    const MICROS: f64 = 1e6;

    #[allow(clippy::cast_precision_loss, reason = "2^53 microseconds are 285 years")]
    pub fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(time.as_microsecond() as f64 / MICROS)
    }

    #[allow(clippy::cast_possible_truncation, reason = "jiff refuses what is out of its range")]
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        Timestamp::from_microsecond((seconds * MICROS).round() as i64).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_their_microseconds_and_scopes_their_kind() {
        let time = |micros| Timestamp::from_microsecond(micros).unwrap();
        let mut claims = Claims {
            user_id: "u".into(),
            issued_at: time(1_795_874_399_999_999),
            expires_at: time(1_795_878_000_000_001),
            methods: vec!["password".into()],
            audit_ids: vec!["a".into()],
            project_id: None,
            domain_id: None,
            system: None,
            application_credential_id: None,
        };
        for scope in
            [None, Some(Scope::Project("p".into())), Some(Scope::Domain("d".into())), Some(Scope::System)]
        {
            claims.set_scope(scope.as_ref());
            let text = serde_json::to_string(&claims).unwrap();
            let read: Claims = serde_json::from_str(&text).unwrap();
            assert_eq!(read, claims);
            assert_eq!(read.scope(), scope);
        }
    }
}
