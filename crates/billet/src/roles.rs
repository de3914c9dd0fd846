//! What one process does of what a site needs: `--roles api,conductor,netboot`.

use anyhow::{Result, bail};
use conductor::Role;
use serde::Deserialize;

/// A role as the command line and the configuration name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Name {
    /// Serve operators and tenants.
    Api,
    /// Move nodes and servers.
    Conductor,
    /// Boot machines over the network, and hear their agents.
    Netboot,
}

/// The roles of this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles(Vec<Role>);

impl Roles {
    /// Those that were asked for; all where nothing was. One that is named twice is a slip.
    pub fn new(asked: Option<&[Name]>) -> Result<Self> {
        let Some(asked) = asked else { return Ok(Self(Role::ALL.to_vec())) };
        let mut roles = Vec::new();
        for name in asked {
            let role = match name {
                Name::Api => Role::Api,
                Name::Conductor => Role::Conductor,
                Name::Netboot => Role::Netboot,
            };
            if roles.contains(&role) {
                bail!("the role {} is named twice", role.as_str());
            }
            roles.push(role);
        }
        if roles.is_empty() {
            bail!("a process needs a role: any of api, conductor and netboot (all of them by default)");
        }
        Ok(Self(roles))
    }

    /// Does this process have the role?
    pub fn has(&self, role: Role) -> bool {
        self.0.contains(&role)
    }

    /// All that it has.
    pub fn list(&self) -> Vec<Role> {
        self.0.clone()
    }

    /// On SQLite a process is alone, so whatever it leaves to others is not done.
    pub fn check(&self, others_may_be_there: bool) -> Result<()> {
        let missing = [Role::Api, Role::Conductor].into_iter().find(|role| !self.has(*role));
        match missing {
            Some(role) if !others_may_be_there => bail!(
                "nobody would have the role {}: a SQLite database is one process's. Leave --roles out, or let several processes share \
                 a PostgreSQL database (--database postgres://…)",
                role.as_str()
            ),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_process_must_do_everything_and_one_of_several_need_not() {
        assert_eq!(Roles::new(None).unwrap().list(), Role::ALL);
        Roles::new(None).unwrap().check(false).unwrap();
        Roles::new(Some(&[Name::Conductor, Name::Api])).unwrap().check(false).unwrap();
        let api = Roles::new(Some(&[Name::Api])).unwrap();
        assert!(api.has(Role::Api) && !api.has(Role::Netboot));
        api.check(true).unwrap();
        let error = api.check(false).unwrap_err().to_string();
        assert!(error.contains("conductor") && error.contains("--database"), "{error}");
        assert!(Roles::new(Some(&[])).is_err());
        assert!(Roles::new(Some(&[Name::Api, Name::Api])).is_err());
    }
}
