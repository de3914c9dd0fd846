//! Where servers under measurement keep what they know.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use super::Options;
use super::server::{OPEN, Server};
use crate::error::{Error, Result};
use crate::postgres::{Cluster, Durability};

/// Starts servers, each over a directory, and on PostgreSQL over a database that belongs to the directory.
#[derive(Debug)]
pub(super) struct Site {
    billet: PathBuf,
    cluster: Option<Cluster>,
    /// Directories whose databases are made; the place of one is in its database's name.
    known: RefCell<Vec<PathBuf>>,
}

impl Site {
    /// Starts a PostgreSQL cluster of its own, if that is wanted.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub fn new(options: &Options) -> Result<Self> {
        let start = || {
            let runtime = tokio::runtime::Runtime::new().map_err(Error::io("starting", "the runtime"))?;
            runtime.block_on(Cluster::start(Durability::Full))
        };
        let cluster = options.is_on_postgres.then(start).transpose()?;
        Ok(Self { billet: options.billet.clone(), cluster, known: RefCell::default() })
    }

    /// Starts a server without authentication, with `fake-hardware` and nothing on the network.
    ///
    /// # Errors
    /// As [`Server::start_with`], and when the database can't be made.
    pub fn start(&self, dir: &Path) -> Result<Server> {
        Server::start_with(&self.billet, dir, self.database(dir)?.as_deref(), OPEN, "")
    }

    /// As [`Site::start`], with users of its own, and the services around Ironic's.
    ///
    /// # Errors
    /// As [`Site::start`].
    pub fn start_cloud(&self, dir: &Path) -> Result<Server> {
        Server::start_with(&self.billet, dir, self.database(dir)?.as_deref(), "", "")
    }

    /// URL of a directory's database on PostgreSQL.
    fn database(&self, dir: &Path) -> Result<Option<String>> {
        let Some(cluster) = &self.cluster else { return Ok(None) };
        let mut known = self.known.borrow_mut();
        let number = known.iter().position(|known| known == dir).unwrap_or(known.len());
        let name = format!("billet{number}");
        if number == known.len() {
            cluster.create_database(&name)?;
            known.push(dir.to_owned());
        }
        Ok(Some(format!("{}/{name}", cluster.url())))
    }
}
