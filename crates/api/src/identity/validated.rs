//! What a token means now: its user, its scope and the roles there, looked up in the database.

use jiff::Timestamp;
use model::identity::{
    ApplicationCredential, Claims, Domain, Project, RoleName, Scope, User, effective_roles, implied_closure,
};
use std::collections::BTreeSet;
use store::identity::Identity;
use store::{Store, StoreError};

/// A token that counts.
#[derive(Debug, Clone)]
pub struct Validated {
    /// What it says by itself.
    pub claims: Claims,
    /// Whose it is.
    pub user: User,
    /// The user's domain.
    pub user_domain: Domain,
    /// What it is for.
    pub place: Place,
    /// The user's roles there, implied ones among them.
    pub roles: Vec<RoleName>,
    /// What it was got with.
    pub application_credential: Option<ApplicationCredential>,
}

/// A scope with what is known of it.
#[derive(Debug, Clone)]
pub enum Place {
    /// Nothing in particular.
    Unscoped,
    /// A project and its domain.
    Project(Project, Domain),
    /// A domain.
    Domain(Domain),
    /// The whole site.
    System,
}

/// Why a token, or a wish for one, counts for nothing.
#[derive(Debug)]
pub enum Void {
    /// It doesn't; the reason is for the log.
    Because(&'static str),
    /// The database could not be asked.
    Store(StoreError),
}

impl From<StoreError> for Void {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound { what, .. } => Void::Because(what),
            other => Void::Store(other),
        }
    }
}

impl Place {
    /// The scope that it is; none: unscoped.
    pub fn scope(&self) -> Option<Scope> {
        match self {
            Place::Unscoped => None,
            Place::Project(project, _) => Some(Scope::Project(project.id.clone())),
            Place::Domain(domain) => Some(Scope::Domain(domain.id.clone())),
            Place::System => Some(Scope::System),
        }
    }

    /// The domain that it lies in.
    pub fn domain_id(&self) -> Option<&str> {
        match self {
            Place::Project(_, domain) | Place::Domain(domain) => Some(&domain.id),
            Place::System | Place::Unscoped => None,
        }
    }

    /// Looks it up; what is disabled is no scope.
    pub async fn find(identity: Identity<'_>, scope: Option<&Scope>) -> Result<Self, Void> {
        match scope {
            None => Ok(Place::Unscoped),
            Some(Scope::System) => Ok(Place::System),
            Some(Scope::Domain(id)) => Ok(Place::Domain(enabled_domain(identity, id).await?)),
            Some(Scope::Project(id)) => {
                let project: Project = identity.get(id).await?;
                if !project.enabled {
                    return Err(Void::Because("the project is disabled"));
                }
                let domain = enabled_domain(identity, &project.domain_id).await?;
                Ok(Place::Project(project, domain))
            }
        }
    }
}

async fn enabled_domain(identity: Identity<'_>, id: &str) -> Result<Domain, Void> {
    let domain: Domain = identity.get(id).await?;
    if domain.enabled { Ok(domain) } else { Err(Void::Because("the domain is disabled")) }
}

/// A user that may log in, with its domain.
pub async fn enabled_user(identity: Identity<'_>, id: &str) -> Result<(User, Domain), Void> {
    let user: User = identity.get(id).await?;
    if !user.enabled {
        return Err(Void::Because("the user is disabled"));
    }
    let domain = enabled_domain(identity, &user.domain_id).await?;
    Ok((user, domain))
}

/// What a project lies below: its parents, nearest first, and its domain.
pub async fn above(identity: Identity<'_>, project: &Project) -> Result<Vec<Scope>, StoreError> {
    let mut above = Vec::new();
    let mut parent = project.parent_id.clone();
    while parent != project.domain_id {
        let next: Project = identity.get(&parent).await?;
        above.push(Scope::Project(parent));
        parent = next.parent_id;
    }
    above.push(Scope::Domain(project.domain_id.clone()));
    Ok(above)
}

/// The ids of the roles that a user has at a place, implied ones among them.
pub async fn role_ids(
    identity: Identity<'_>,
    user: &str,
    place: &Place,
) -> Result<BTreeSet<String>, StoreError> {
    let Some(scope) = place.scope() else { return Ok(BTreeSet::new()) };
    let above = match place {
        Place::Project(project, _) => above(identity, project).await?,
        _ => Vec::new(),
    };
    let assignments = identity.assignments_of_user(user).await?;
    Ok(effective_roles(&assignments, &scope, &above, &identity.implied_roles().await?))
}

/// Their names, sorted, so that equal sets look equal.
pub async fn role_names(identity: Identity<'_>, ids: &BTreeSet<String>) -> Result<Vec<RoleName>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<_> = ids.iter().cloned().collect();
    let roles: Vec<model::identity::Role> = identity.list_of(&ids).await?;
    // A role of one domain only stands for those that it implies.
    let mut names: Vec<_> = roles
        .into_iter()
        .filter(|role| role.domain_id.is_none())
        .map(|role| RoleName { id: role.id, name: role.name })
        .collect();
    names.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(names)
}

impl Validated {
    /// Looks up what a token means. Its signature and its time are the caller's matter.
    pub async fn look_up(store: &Store, claims: Claims, now: Timestamp) -> Result<Self, Void> {
        let identity = store.identity();
        if identity.is_revoked(claims.audit_id()).await? {
            return Err(Void::Because("the token was revoked"));
        }
        let (user, user_domain) = enabled_user(identity, &claims.user_id).await?;
        if claims.issued_at < identity.valid_since(&user.id).await? {
            return Err(Void::Because("the token was issued before the user's password changed"));
        }
        let application_credential = match &claims.application_credential_id {
            Some(id) => Some(valid_credential(identity, id, now).await?),
            None => None,
        };
        let place = Place::find(identity, claims.scope().as_ref()).await?;
        let roles = roles_there(identity, &user, &place, application_credential.as_ref()).await?;
        Ok(Self { claims, user, user_domain, place, roles, application_credential })
    }

    /// Until when it counts.
    pub fn until(&self) -> Timestamp {
        let credential = self.application_credential.as_ref().and_then(|credential| credential.expires_at);
        credential.map_or(self.claims.expires_at, |end| end.min(self.claims.expires_at))
    }

    /// Has a role of that name.
    pub fn has_role(&self, name: &str) -> bool {
        self.roles.iter().any(|role| role.name.eq_ignore_ascii_case(name))
    }
}

/// An application credential whose time has not passed.
pub async fn valid_credential(
    identity: Identity<'_>,
    id: &str,
    now: Timestamp,
) -> Result<ApplicationCredential, Void> {
    let credential: ApplicationCredential = identity.get(id).await?;
    if credential.has_expired(now) {
        return Err(Void::Because("the application credential has expired"));
    }
    Ok(credential)
}

/// The roles of a token; there must be some for any scope. An application credential has those of its roles that its user still has.
pub async fn roles_there(
    identity: Identity<'_>,
    user: &User,
    place: &Place,
    credential: Option<&ApplicationCredential>,
) -> Result<Vec<RoleName>, Void> {
    if matches!(place, Place::Unscoped) {
        return Ok(Vec::new());
    }
    let mut ids = role_ids(identity, &user.id, place).await?;
    if let Some(credential) = credential {
        let own = credential.roles.iter().map(|role| role.id.clone());
        let own = implied_closure(own, &identity.implied_roles().await?);
        ids.retain(|id| own.contains(id));
    }
    let names = role_names(identity, &ids).await?;
    if names.is_empty() {
        return Err(Void::Because("the user has no role there"));
    }
    Ok(names)
}

/// The scopes that a user has roles at, by its own assignments and those of its groups.
pub async fn scopes_of(identity: Identity<'_>, user: &str) -> Result<Scopes, StoreError> {
    let mut scopes = Scopes::default();
    let mut inherited = Vec::new();
    for assignment in identity.assignments_of_user(user).await? {
        match (assignment.scope, assignment.inherited) {
            (Scope::Project(id), false) => drop(scopes.projects.insert(id)),
            (Scope::Domain(id), false) => drop(scopes.domains.insert(id)),
            (Scope::System, _) => scopes.system = true,
            (place, true) => inherited.push(place),
        }
    }
    if !inherited.is_empty() {
        for project in identity.list::<Project>(&[]).await? {
            if above(identity, &project).await?.iter().any(|place| inherited.contains(place)) {
                scopes.projects.insert(project.id);
            }
        }
    }
    Ok(scopes)
}

/// Where somebody has roles.
#[derive(Debug, Default)]
pub struct Scopes {
    /// Ids of projects.
    pub projects: BTreeSet<String>,
    /// Ids of domains.
    pub domains: BTreeSet<String>,
    /// The whole site.
    pub system: bool,
}
