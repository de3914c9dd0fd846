//! What a request for a token brings, parsed before anything is looked up. Nothing of it is ever repeated in an error: it has secrets.

use super::document::missing;
use crate::cloud::CloudError;
use crate::limits::AUTH_METHODS;
use model::Secret;
use model::identity::Scope;
use serde::Deserialize;
use serde_json::Value;
use store::StoreError;
use store::identity::Identity;

/// `auth` of `POST /v3/auth/tokens`.
pub struct Brought {
    /// Methods, in the order in which they were named, each once.
    pub methods: Vec<String>,
    password: Option<PasswordPart>,
    token: Option<Secret>,
    credential: Option<CredentialPart>,
    /// What the token is wanted for.
    pub scope: Wanted,
}

/// What a token is wanted for.
pub enum Wanted {
    /// Nobody said: the user's default project, if it has one and a role there.
    Default,
    /// Nothing in particular.
    Unscoped,
    /// This.
    Place(PlaceName),
}

/// A scope as it is asked for.
pub enum PlaceName {
    /// A project by id.
    ProjectId(String),
    /// A project by name.
    Project {
        /// Its name.
        name: String,
        /// Its domain.
        domain: DomainName,
    },
    /// A domain.
    Domain(DomainName),
    /// The whole site.
    System,
}

/// A domain by id or by name.
pub enum DomainName {
    /// By id.
    Id(String),
    /// By name.
    Name(String),
}

/// A user by id or by name.
pub enum UserName {
    /// By id.
    Id(String),
    /// By name.
    Named {
        /// Its name.
        name: String,
        /// Its domain.
        domain: DomainName,
    },
}

/// A user's password.
pub struct PasswordPart {
    /// Whose.
    pub user: UserName,
    /// The password.
    pub password: Secret,
}

/// An application credential.
pub enum CredentialPart {
    /// By id.
    Id {
        /// Its id.
        id: String,
        /// Its secret.
        secret: Secret,
    },
    /// By name.
    Name {
        /// Its name.
        name: String,
        /// Whose it is.
        user: UserName,
        /// Its secret.
        secret: Secret,
    },
}

#[derive(Deserialize)]
struct Body {
    auth: Auth,
}

#[derive(Deserialize)]
struct Auth {
    identity: Methods,
    #[serde(default)]
    scope: Value,
}

#[derive(Deserialize)]
struct Methods {
    methods: Vec<String>,
    password: Option<PasswordMethod>,
    token: Option<TokenMethod>,
    application_credential: Option<CredentialMethod>,
}

#[derive(Deserialize)]
struct PasswordMethod {
    user: UserWithPassword,
}

#[derive(Deserialize)]
struct UserWithPassword {
    #[serde(flatten)]
    who: Named,
    password: Secret,
}

#[derive(Deserialize)]
struct TokenMethod {
    id: Secret,
}

#[derive(Deserialize)]
struct CredentialMethod {
    id: Option<String>,
    name: Option<String>,
    secret: Secret,
    user: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    id: Option<String>,
    name: Option<String>,
    domain: Option<DomainPart>,
}

#[derive(Deserialize)]
struct DomainPart {
    id: Option<String>,
    name: Option<String>,
}

impl Brought {
    /// Reads a body.
    pub fn read(body: &[u8]) -> Result<Self, CloudError> {
        let Body { auth } = serde_json::from_slice(body).map_err(|error| {
            // Its text may repeat what it stumbled over.
            CloudError::invalid(format!(
                "The request's body is not what is expected of a log-in: see line {}, column {}.",
                error.line(),
                error.column()
            ))
        })?;
        let Methods { methods: named, password, token, application_credential } = auth.identity;
        let mut methods: Vec<String> = Vec::new();
        for method in named {
            if !methods.contains(&method) {
                methods.push(method);
            }
            if methods.len() > AUTH_METHODS {
                return Err(CloudError::invalid(format!("At most {AUTH_METHODS} methods make a log-in.")));
            }
        }
        Ok(Self {
            methods,
            password: password.map(|part| part.user.read()).transpose()?,
            token: token.map(|part| part.id),
            credential: application_credential.map(CredentialMethod::read).transpose()?,
            scope: read_scope(&auth.scope)?,
        })
    }

    /// What the method `password` needs.
    pub fn password(&self) -> Result<&PasswordPart, CloudError> {
        self.password.as_ref().ok_or_else(|| missing("password", "identity"))
    }

    /// What the method `token` needs.
    pub fn token(&self) -> Result<&Secret, CloudError> {
        self.token.as_ref().ok_or_else(|| missing("token", "identity"))
    }

    /// What the method `application_credential` needs.
    pub fn credential(&self) -> Result<&CredentialPart, CloudError> {
        self.credential.as_ref().ok_or_else(|| missing("application_credential", "identity"))
    }
}

impl UserWithPassword {
    fn read(self) -> Result<PasswordPart, CloudError> {
        Ok(PasswordPart { user: self.who.read()?, password: self.password })
    }
}

impl Named {
    fn read(self) -> Result<UserName, CloudError> {
        match (self.id, self.name) {
            (Some(id), _) => Ok(UserName::Id(id)),
            (None, Some(name)) => {
                let domain = self.domain.ok_or_else(|| missing("domain", "user"))?.read()?;
                Ok(UserName::Named { name, domain })
            }
            (None, None) => Err(missing("id or name", "user")),
        }
    }
}

impl DomainPart {
    fn read(self) -> Result<DomainName, CloudError> {
        match (self.id, self.name) {
            (Some(id), _) => Ok(DomainName::Id(id)),
            (None, Some(name)) => Ok(DomainName::Name(name)),
            (None, None) => Err(missing("id or name", "domain")),
        }
    }
}

impl CredentialMethod {
    fn read(self) -> Result<CredentialPart, CloudError> {
        let secret = self.secret;
        match (self.id, self.name) {
            (Some(id), _) => Ok(CredentialPart::Id { id, secret }),
            (None, Some(name)) => {
                let user = self.user.ok_or_else(|| missing("user", "application_credential"))?.read()?;
                Ok(CredentialPart::Name { name, user, secret })
            }
            (None, None) => Err(missing("id or name", "application_credential")),
        }
    }
}

fn read_scope(scope: &Value) -> Result<Wanted, CloudError> {
    let fields = match scope {
        Value::Null => return Ok(Wanted::Default),
        Value::String(text) if text == "unscoped" => return Ok(Wanted::Unscoped),
        Value::Object(fields) => fields,
        _ => return Err(missing("project, domain, system or \"unscoped\"", "scope")),
    };
    let named = |field: &str| {
        let value = fields.get(field)?;
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        let domain = value.get("domain").map(|domain| DomainPart {
            id: domain["id"].as_str().map(str::to_owned),
            name: domain["name"].as_str().map(str::to_owned),
        });
        Some(Named { id: text("id"), name: text("name"), domain })
    };
    if fields.len() > 1 {
        return Err(CloudError::invalid("A token has one scope: a project, a domain, or the system."));
    }
    if let Some(project) = named("project") {
        return Ok(Wanted::Place(match (project.id, project.name) {
            (Some(id), _) => PlaceName::ProjectId(id),
            (None, Some(name)) => {
                let domain = project.domain.ok_or_else(|| missing("domain", "project"))?.read()?;
                PlaceName::Project { name, domain }
            }
            (None, None) => return Err(missing("id or name", "project")),
        }));
    }
    if let Some(domain) = named("domain") {
        let domain = DomainPart { id: domain.id, name: domain.name }.read()?;
        return Ok(Wanted::Place(PlaceName::Domain(domain)));
    }
    if fields.get("system").is_some_and(|system| system["all"] == true) {
        return Ok(Wanted::Place(PlaceName::System));
    }
    if fields.contains_key("OS-TRUST:trust") {
        return Err(CloudError::invalid(
            "Trusts are not served; application credentials do what they are for.",
        ));
    }
    Err(missing("project, domain, system or \"unscoped\"", "scope"))
}

impl UserName {
    /// It as parts of a name that wrong passwords are counted for.
    pub fn parts(&self) -> Vec<&str> {
        match self {
            UserName::Id(id) => vec!["user", id],
            UserName::Named { name, domain } => vec!["user", domain.text(), name],
        }
    }
}

impl CredentialPart {
    /// Its secret.
    pub fn secret(&self) -> &Secret {
        match self {
            CredentialPart::Id { secret, .. } | CredentialPart::Name { secret, .. } => secret,
        }
    }

    /// It as parts of a name that wrong secrets are counted for.
    pub fn parts(&self) -> Vec<&str> {
        match self {
            CredentialPart::Id { id, .. } => vec!["application credential", id],
            CredentialPart::Name { name, user, .. } => {
                let mut parts = user.parts();
                parts.push(name);
                parts
            }
        }
    }
}

impl DomainName {
    fn text(&self) -> &str {
        match self {
            DomainName::Id(text) | DomainName::Name(text) => text,
        }
    }

    /// Its id; none where no domain is called so.
    pub async fn id(&self, identity: Identity<'_>) -> Result<Option<String>, StoreError> {
        match self {
            DomainName::Id(id) => Ok(Some(id.clone())),
            DomainName::Name(name) => {
                let found: Option<model::identity::Domain> =
                    identity.find(&[("name", name.as_str())]).await?;
                Ok(found.map(|domain| domain.id))
            }
        }
    }
}

impl PlaceName {
    /// The scope that it names; none where nothing is called so.
    pub async fn scope(&self, identity: Identity<'_>) -> Result<Option<Scope>, StoreError> {
        Ok(match self {
            PlaceName::System => Some(Scope::System),
            PlaceName::ProjectId(id) => Some(Scope::Project(id.clone())),
            PlaceName::Domain(domain) => domain.id(identity).await?.map(Scope::Domain),
            PlaceName::Project { name, domain } => match domain.id(identity).await? {
                None => None,
                Some(domain) => {
                    let equal = [("domain_id", domain.as_str()), ("name", name.as_str())];
                    let found: Option<model::identity::Project> = identity.find(&equal).await?;
                    found.map(|project| Scope::Project(project.id))
                }
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_error_repeats_what_was_brought() {
        for body in [
            r#"{"auth": {"identity": {"methods": ["password"], "password": "hunter2"}}}"#,
            r#"{"auth": {"identity": {"methods": ["password"], "password": {"user": "hunter2"}}}}"#,
            r#"{"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "a", "password": "hunter2"}}}}}"#,
            r#"{"auth": {"identity": {"methods": "hunter2"}}}"#,
            r#"{"auth": {"identity": {"methods": [], "token": "hunter2"}}}"#,
            r#"{"auth": {"identity": {"methods": []}, "scope": "hunter2"}}"#,
        ] {
            let error = Brought::read(body.as_bytes()).err().unwrap();
            assert_eq!(error.status, 400);
            assert!(!error.text.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn scopes_are_read_as_clients_write_them() {
        let read = |scope: &str| read_scope(&serde_json::from_str(scope).unwrap());
        assert!(matches!(read("null"), Ok(Wanted::Default)));
        assert!(matches!(read("\"unscoped\""), Ok(Wanted::Unscoped)));
        assert!(matches!(read(r#"{"system": {"all": true}}"#), Ok(Wanted::Place(PlaceName::System))));
        let project = r#"{"project": {"name": "p", "domain": {"id": "default"}}}"#;
        assert!(matches!(read(project), Ok(Wanted::Place(PlaceName::Project { .. }))));
        for bad in ["{}", "[]", r#"{"project": {"name": "p"}}"#, r#"{"system": {}}"#, r#"{"project": 1}"#] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(read(r#"{"project": {"id": "p"}, "domain": {"id": "d"}}"#).is_err());
    }
}
