//! Who may call a route, as far as that can be told before its handler runs; whose a thing is, is its handler's to ask.

use super::{Call, CloudError, Route};
use crate::policy::{Credentials, Role};
use crate::route::Verb;

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody, without a token.
    Public,
    /// Everybody with a token of any scope.
    User,
    /// Those with a role in the token's project: readers may read, members may change. Operators too, in whatever scope.
    Project,
    /// Operators of the whole cloud; readers of the system may read.
    Operator,
    /// Those whom its handler lets in, by a token or by something else: a signed URL, a thing that is open to the public.
    Granted,
}

/// May look at all of the cloud.
pub(super) fn sees_all(who: &Credentials) -> bool {
    who.system && reads(who)
}

/// May change all of the cloud.
pub(super) fn is_operator(who: &Credentials) -> bool {
    who.system && who.roles.has(Role::Admin)
}

fn reads(who: &Credentials) -> bool {
    writes(who) || who.roles.has(Role::Reader)
}

fn writes(who: &Credentials) -> bool {
    [Role::Member, Role::Manager, Role::Admin, Role::Service].iter().any(|role| who.roles.has(*role))
}

impl Call {
    /// May the caller read what belongs to this project or, unless it `only_looks`, change it? As [`Access::Project`] asks it, of one
    /// project. Nobody without a token may.
    pub fn may_use_project(&self, project: &str, only_looks: bool) -> bool {
        let Some(who) = self.caller.identity.as_ref().map(|identity| &identity.credentials) else {
            return false;
        };
        let own = who.project.as_deref() == Some(project);
        if only_looks { own && reads(who) || sees_all(who) } else { own && writes(who) || is_operator(who) }
    }

    /// Refuses with 403 who may not call the route at all.
    pub(super) fn check_access(&self, route: &Route) -> Result<(), CloudError> {
        if matches!(route.access, Access::Public | Access::Granted) {
            return Ok(());
        }
        let who = &self.identity()?.credentials;
        let only_looks = route.verb == Verb::Get || route.only_looks;
        let in_project = who.project.is_some() && if only_looks { reads(who) } else { writes(who) };
        let as_operator = if only_looks { sees_all(who) } else { is_operator(who) };
        let (may, needed) = match route.access {
            Access::Public | Access::User | Access::Granted => (true, ""),
            Access::Project if only_looks => (in_project || as_operator, "the role reader in a project"),
            Access::Project => (in_project || as_operator, "the role member in a project"),
            Access::Operator if only_looks => (as_operator, "the role reader in the whole system"),
            Access::Operator => (as_operator, "the role admin in the whole system"),
        };
        if may {
            return Ok(());
        }
        Err(CloudError::forbidden(format!(
            "You are not authorized to perform the requested action: it takes {needed}, which your token does not carry."
        )))
    }
}
