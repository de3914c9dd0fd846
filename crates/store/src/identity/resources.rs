//! The columns of each resource.

use super::IdentityRecord;
use crate::select::Column;
use model::identity::{ApplicationCredential, Domain, Endpoint, Group, Project, Region, Role, Service, User};

impl IdentityRecord for Domain {
    const TABLE: &'static str = "identity_domains";
    const WHAT: &'static str = "domain";

    fn ident(&self) -> &str {
        &self.id
    }

    fn columns(&self) -> Vec<(&'static str, Column)> {
        vec![("name", Column::text(Some(&self.name))), ("enabled", Column::flag(self.enabled))]
    }
}

impl IdentityRecord for Project {
    const TABLE: &'static str = "identity_projects";
    const WHAT: &'static str = "project";

    fn ident(&self) -> &str {
        &self.id
    }

    fn columns(&self) -> Vec<(&'static str, Column)> {
        vec![
            ("domain_id", Column::text(Some(&self.domain_id))),
            ("name", Column::text(Some(&self.name))),
            ("parent_id", Column::text(Some(&self.parent_id))),
            ("enabled", Column::flag(self.enabled)),
        ]
    }
}

impl IdentityRecord for User {
    const TABLE: &'static str = "identity_users";
    const WHAT: &'static str = "user";

    fn ident(&self) -> &str {
        &self.id
    }

    fn columns(&self) -> Vec<(&'static str, Column)> {
        vec![
            ("domain_id", Column::text(Some(&self.domain_id))),
            ("name", Column::text(Some(&self.name))),
            ("enabled", Column::flag(self.enabled)),
        ]
    }
}

impl IdentityRecord for Group {
    const TABLE: &'static str = "identity_groups";
    const WHAT: &'static str = "group";

    fn ident(&self) -> &str {
        &self.id
    }

    fn columns(&self) -> Vec<(&'static str, Column)> {
        vec![("domain_id", Column::text(Some(&self.domain_id))), ("name", Column::text(Some(&self.name)))]
    }
}

impl IdentityRecord for Role {
    const TABLE: &'static str = "identity_roles";
    const WHAT: &'static str = "role";

    fn ident(&self) -> &str {
        &self.id
    }

    fn columns(&self) -> Vec<(&'static str, Column)> {
        vec![
            ("domain_id", Column::text(Some(self.domain_id.as_deref().unwrap_or_default()))),
            ("name", Column::text(Some(&self.name))),
        ]
    }
}

impl IdentityRecord for Region {
    const TABLE: &'static str = "identity_regions";
    const WHAT: &'static str = "region";

    fn ident(&self) -> &str {
        &self.id
    }

    fn columns(&self) -> Vec<(&'static str, Column)> {
        vec![("parent_region_id", Column::text(self.parent_region_id.as_deref()))]
    }
}

impl IdentityRecord for Service {
    const TABLE: &'static str = "identity_services";
    const WHAT: &'static str = "service";

    fn ident(&self) -> &str {
        &self.id
    }

    fn columns(&self) -> Vec<(&'static str, Column)> {
        vec![("type", Column::text(Some(&self.kind))), ("name", Column::text(self.name.as_deref()))]
    }
}

impl IdentityRecord for Endpoint {
    const TABLE: &'static str = "identity_endpoints";
    const WHAT: &'static str = "endpoint";

    fn ident(&self) -> &str {
        &self.id
    }

    fn columns(&self) -> Vec<(&'static str, Column)> {
        vec![
            ("service_id", Column::text(Some(&self.service_id))),
            ("region_id", Column::text(self.region_id.as_deref())),
            ("interface", Column::text(Some(self.interface.as_str()))),
        ]
    }
}

impl IdentityRecord for ApplicationCredential {
    const TABLE: &'static str = "identity_application_credentials";
    const WHAT: &'static str = "application credential";

    fn ident(&self) -> &str {
        &self.id
    }

    fn columns(&self) -> Vec<(&'static str, Column)> {
        vec![
            ("user_id", Column::text(Some(&self.user_id))),
            ("project_id", Column::text(Some(&self.project_id))),
            ("name", Column::text(Some(&self.name))),
        ]
    }
}
