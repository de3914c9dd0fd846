//! Where servers under measurement keep what they know.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::server::{OPEN, Server};
use super::table::{median, milliseconds};
use super::{Options, ROUNDS};
use crate::error::{Error, Result};
use crate::postgres::{Cluster, Durability};

/// Starts servers, each over a directory, and on PostgreSQL over a database that belongs to the directory.
#[derive(Debug)]
pub(super) struct Site {
    billet: PathBuf,
    cluster: Option<Cluster>,
    /// URLs of the databases that are made, by the directory that each belongs to.
    databases: RefCell<HashMap<PathBuf, String>>,
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
        Ok(Self { billet: options.billet.clone(), cluster, databases: RefCell::default() })
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

    /// How long a first start takes, milliseconds: the median of several, each by `start` over an empty directory below `dir`.
    ///
    /// # Errors
    /// As `start`, and when a directory can't be made.
    pub fn first_start(&self, dir: &Path, start: impl Fn(&Self, &Path) -> Result<Server>) -> Result<f64> {
        let starts = (0..ROUNDS).map(|round| {
            let place = dir.join(format!("start-{round}"));
            std::fs::create_dir(&place).map_err(Error::io("creating", &place))?;
            Ok(milliseconds(start(self, &place)?.started_in))
        });
        Ok(median(&mut starts.collect::<Result<Vec<_>>>()?))
    }

    /// URL of a directory's database on PostgreSQL.
    fn database(&self, dir: &Path) -> Result<Option<String>> {
        let Some(cluster) = &self.cluster else { return Ok(None) };
        let mut databases = self.databases.borrow_mut();
        if let Some(url) = databases.get(dir) {
            return Ok(Some(url.clone()));
        }
        let url = cluster.create_database(&format!("billet{}", databases.len()))?;
        databases.insert(dir.to_owned(), url.clone());
        Ok(Some(url))
    }
}
