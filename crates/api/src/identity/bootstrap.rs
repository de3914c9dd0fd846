//! A site's first start: the domain, the projects, users and roles, and the catalog that a cloud begins with.

use super::password::{digest_of_drawn, draw};
use crate::auth::fingerprint::NoRandomness;
use model::Secret;
use model::identity::bootstrap::{OPERATOR, PROJECTS, REGION, ROLES, SERVICE_ROLE, SERVICES, USERS};
use model::identity::{
    Actor, Assignment, DEFAULT_DOMAIN, Domain, Endpoint, Extra, ImpliedRole, Interface, Project, Region,
    Role, Scope, Service, User, id_from,
};
use std::collections::HashMap;
use store::identity::FirstData;
use uuid::Uuid;

/// What somebody is told, once: how to log in.
#[derive(Debug, Clone)]
pub struct Login {
    /// The user's name.
    pub user: &'static str,
    /// Its project's name.
    pub project: &'static str,
    /// Its password.
    pub password: Secret,
}

fn id() -> String {
    id_from(Uuid::new_v4())
}

/// All that a new site begins with, and the log-ins of those whose password somebody is told. The others have none: an operator may set one.
pub fn first_data() -> Result<(FirstData, Vec<Login>), NoRandomness> {
    let domain = Domain {
        description: "The domain of this site".to_owned(),
        ..Domain::new(DEFAULT_DOMAIN, "Default")
    };
    let projects: Vec<_> = PROJECTS
        .iter()
        .map(|(name, description)| Project {
            description: (*description).to_owned(),
            ..Project::new(id(), *name, DEFAULT_DOMAIN)
        })
        .collect();
    // As in Keystone's own bootstrap: what everything rests on isn't changed by mistake.
    let immutable: Extra = [("immutable".to_owned(), true.into())].into_iter().collect();
    let roles: Vec<_> = ROLES
        .iter()
        .chain(std::iter::once(&SERVICE_ROLE))
        .map(|name| Role { options: immutable.clone(), ..Role::new(id(), *name) })
        .collect();
    let project_ids: HashMap<_, _> =
        projects.iter().map(|project| (project.name.as_str(), project.id.as_str())).collect();
    let role_ids: HashMap<_, _> = roles.iter().map(|role| (role.name.as_str(), role.id.as_str())).collect();
    let implied = ROLES
        .windows(2)
        .map(|pair| ImpliedRole {
            prior: role_ids[pair[0]].to_owned(),
            implied: role_ids[pair[1]].to_owned(),
        })
        .collect();

    let (mut users, mut assignments, mut logins) = (Vec::new(), Vec::new(), Vec::new());
    for new in USERS {
        let project = project_ids[new.project];
        let user = User {
            default_project_id: Some(project.to_owned()),
            ..User::new(id(), new.name, DEFAULT_DOMAIN)
        };
        let actor = || Actor::User(user.id.clone());
        for role in new.roles {
            assignments.push(Assignment::new(actor(), Scope::Project(project.to_owned()), role_ids[*role]));
        }
        if new.name == OPERATOR {
            for scope in [Scope::System, Scope::Domain(DEFAULT_DOMAIN.to_owned())] {
                assignments.push(Assignment::new(actor(), scope, role_ids[ROLES[0]]));
            }
        }
        let digest = if new.has_password {
            let password = draw()?;
            let digest = digest_of_drawn(&password)?;
            logins.push(Login { user: new.name, project: new.project, password });
            Some(digest)
        } else {
            None
        };
        users.push((user, digest));
    }

    let (services, endpoints) = services();
    let region = Region {
        id: REGION.to_owned(),
        description: String::new(),
        parent_region_id: None,
        extra: Extra::new(),
    };
    let data = FirstData {
        domain,
        users,
        implied,
        assignments,
        regions: vec![region],
        services,
        endpoints,
        projects,
        roles,
    };
    Ok((data, logins))
}

fn services() -> (Vec<Service>, Vec<Endpoint>) {
    let (mut services, mut endpoints) = (Vec::new(), Vec::new());
    for (kind, name, description, path) in SERVICES {
        let service = Service {
            id: id(),
            kind: (*kind).to_owned(),
            name: Some((*name).to_owned()),
            description: Some((*description).to_owned()),
            enabled: true,
            extra: Extra::new(),
        };
        endpoints.extend(Interface::ALL.map(|interface| Endpoint {
            id: id(),
            interface,
            service_id: service.id.clone(),
            region_id: Some(REGION.to_owned()),
            url: (*path).to_owned(),
            enabled: true,
            extra: Extra::new(),
        }));
        services.push(service);
    }
    (services, endpoints)
}
