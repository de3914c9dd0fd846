//! The catalog: which services there are, and where.

use super::{Extra, yes};
use serde::{Deserialize, Serialize};

/// A place that has endpoints of its own. Its id is its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Region {
    /// Identity, chosen by whoever makes it.
    pub id: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// The region around it.
    #[serde(default)]
    pub parent_region_id: Option<String>,
    /// Other attributes.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A service of the cloud.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Identity.
    pub id: String,
    /// What clients look for: `compute`, `image` …
    #[serde(rename = "type")]
    pub kind: String,
    /// Name, for people.
    #[serde(default)]
    pub name: Option<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Only those that are enabled stand in catalogs.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Other attributes.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Whom an endpoint is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interface {
    /// Operators.
    Admin,
    /// Services of the cloud.
    Internal,
    /// Users.
    Public,
}

impl Interface {
    /// All, as Keystone's documentation lists them.
    pub const ALL: [Self; 3] = [Interface::Public, Interface::Internal, Interface::Admin];

    /// Its name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Interface::Admin => "admin",
            Interface::Internal => "internal",
            Interface::Public => "public",
        }
    }
}

/// Where a service is reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Identity.
    pub id: String,
    /// Whom it is for.
    pub interface: Interface,
    /// The service.
    pub service_id: String,
    /// The region; none: everywhere.
    #[serde(default)]
    pub region_id: Option<String>,
    /// Where. One that begins with `/` is served by this process, and shown behind what the client called it by.
    pub url: String,
    /// Only those that are enabled stand in catalogs.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Other attributes.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Endpoint {
    /// The URL for a client that called this process at `base_url`, with `$(project_id)s` and the like filled in as Keystone does.
    ///
    /// `None` where the URL asks for a project and there is none, or for anything else: such an endpoint stands in no catalog.
    pub fn url_for(&self, base_url: &str, project: Option<&str>, user: Option<&str>) -> Option<String> {
        let whole = self.shown_url(base_url);
        let mut out = String::with_capacity(whole.len());
        let mut rest = whole.as_str();
        while let Some(place) = rest.find(['$', '%']) {
            let (before, marked) = rest.split_at(place);
            out.push_str(before);
            let Some(inner) = marked[1..].strip_prefix('(') else {
                out.push_str(&marked[..1]);
                rest = &marked[1..];
                continue;
            };
            let (name, after) = inner.split_once(")s")?;
            out.push_str(match name {
                "project_id" | "tenant_id" => project?,
                "user_id" => user?,
                _ => return None,
            });
            rest = after;
        }
        out.push_str(rest);
        Some(out)
    }

    /// The URL as endpoint lists show it: whole, but with its placeholders.
    pub fn shown_url(&self, base_url: &str) -> String {
        if self.url.starts_with('/') { format!("{base_url}{}", self.url) } else { self.url.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str) -> Endpoint {
        Endpoint {
            id: "e".into(),
            interface: Interface::Public,
            service_id: "s".into(),
            region_id: None,
            url: url.into(),
            enabled: true,
            extra: Extra::new(),
        }
    }

    #[test]
    fn own_endpoints_follow_the_caller_and_foreign_ones_stay() {
        let own = endpoint("/object-store/v1/AUTH_$(project_id)s");
        let url = |endpoint: &Endpoint, project| endpoint.url_for("https://h:1", project, Some("u"));
        assert_eq!(url(&own, Some("p")).as_deref(), Some("https://h:1/object-store/v1/AUTH_p"));
        assert_eq!(url(&own, None), None);
        assert_eq!(own.shown_url("http://x"), "http://x/object-store/v1/AUTH_$(project_id)s");
        let foreign = endpoint("http://k:5000/v3?a=%20b&u=%(user_id)s$");
        assert_eq!(url(&foreign, None).as_deref(), Some("http://k:5000/v3?a=%20b&u=u$"));
        for bad in ["http://h/$(password)s", "http://h/$(project_id"] {
            assert_eq!(url(&endpoint(bad), Some("p")), None, "{bad}");
        }
    }
}
