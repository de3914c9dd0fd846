//! The two servers: how each is prepared and started.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;

use super::tree::{Memory, Tree};
use crate::bench::server::{OPEN, Server, free_port};
use crate::error::{Error, Result};
use crate::process;

/// What both answer once a conductor is there that can work.
const READY: &str = "/v1/drivers/fake-hardware";
/// From its start to the first answer; Ironic on a busy machine takes its time.
const READY_LIMIT: Duration = Duration::from_secs(180);
/// The module that knows how Ironic is installed and set up, from the top of the repository.
const MODULE: &str = "tests/support/ironic.py";

/// One of the two, over a directory of its own.
#[derive(Debug)]
pub(super) struct Product {
    dir: PathBuf,
    kind: Kind,
    /// Its database's URL, in its own language; SQLite without one.
    database: Option<String>,
    /// The first process of the database server.
    database_server: Option<Tree>,
}

#[derive(Debug)]
enum Kind {
    Ironic { prepared: Prepared, address: SocketAddr, top: PathBuf },
    Billet { program: PathBuf },
}

/// What the module says.
#[derive(Debug, Deserialize)]
struct Prepared {
    version: String,
    command: Vec<String>,
    environment: HashMap<String, String>,
}

/// A network database: its URL and its first process.
pub(super) type Database = Option<(String, u32)>;

impl Product {
    /// Installs Ironic unless it is there, and makes its configuration and its database; beside it comes its version.
    ///
    /// # Errors
    /// What the installation said.
    pub fn ironic(dir: &Path, database: Database) -> Result<(Self, String)> {
        let dir = dir.join("ironic");
        std::fs::create_dir_all(&dir).map_err(Error::io("creating", &dir))?;
        let (address, top) = (free_port()?, top()?);
        let mut prepare = support(&top, "prepare", &dir, database.as_ref());
        prepare.args(["--port", &address.port().to_string()]);
        let said = process::output(&mut prepare)?;
        let prepared: Prepared = serde_json::from_slice(&said)
            .map_err(|error| Error::Invalid(format!("{MODULE} prepare says no JSON: {error}")))?;
        let version = prepared.version.clone();
        Ok((Self::new(dir, Kind::Ironic { prepared, address, top }, database), version))
    }

    /// Billet, of this binary.
    ///
    /// # Errors
    /// When its directory can't be made.
    pub fn billet(dir: &Path, program: &Path, database: Database) -> Result<Self> {
        let dir = dir.join("billet");
        std::fs::create_dir_all(&dir).map_err(Error::io("creating", &dir))?;
        Ok(Self::new(dir, Kind::Billet { program: program.to_owned() }, database))
    }

    fn new(dir: PathBuf, kind: Kind, database: Database) -> Self {
        let (database, server) = database.unzip();
        Self { dir, kind, database, database_server: server.map(Tree::of) }
    }

    /// What it is called.
    pub fn name(&self) -> &'static str {
        match self.kind {
            Kind::Ironic { .. } => "Ironic",
            Kind::Billet { .. } => "Billet",
        }
    }

    /// Whether it goes on in the BMCs' sessions, in place of a new one for each question.
    pub fn keeps_sessions(&self) -> bool {
        matches!(self.kind, Kind::Billet { .. })
    }

    /// Starts it over the database as it is. `power_sync` is the interval of `[conductor] sync_power_state_interval`, seconds, 0 for
    /// never; all else of that is as it is by default.
    ///
    /// # Errors
    /// As [`Server::spawn`].
    pub fn start(&self, power_sync: u32) -> Result<Running> {
        let interval = format!("sync_power_state_interval = {power_sync}\n");
        let (command, address) = match &self.kind {
            Kind::Ironic { prepared: Prepared { command, environment, .. }, address, .. } => {
                let file = self.write("interval.conf", &format!("[conductor]\n{interval}"))?;
                let mut ironic = Command::new(command.first().map_or("", String::as_str));
                // What the second file says holds.
                ironic.args(command.iter().skip(1)).arg("--config-file").arg(file).envs(environment);
                (ironic, *address)
            }
            Kind::Billet { program } => {
                Server::command(program, &self.dir, self.database.as_deref(), OPEN, &interval)?
            }
        };
        let server = Server::spawn(command, address, (READY, READY_LIMIT), &self.log())?;
        let tree = Tree::of(server.pid());
        Ok(Running { server, tree, database: self.database_server })
    }

    /// Copies rows of Ironic's until it has so many nodes, without asking it; `false`: it is another product, which registers so many.
    ///
    /// # Errors
    /// What the module said.
    pub fn copy_rows(&self, nodes: usize) -> Result<bool> {
        self.change_rows("copy", &["--nodes", &nodes.to_string()])
    }

    /// Records every node of Ironic's as powered off, as its first sweep would.
    ///
    /// # Errors
    /// What the module said.
    pub fn settle(&self) -> Result<()> {
        self.change_rows("settle", &[]).map(drop)
    }

    fn change_rows(&self, verb: &str, arguments: &[&str]) -> Result<bool> {
        let Kind::Ironic { top, .. } = &self.kind else { return Ok(false) };
        let database = self.database.clone().map(|url| (url, 0));
        process::output(support(top, verb, &self.dir, database.as_ref()).args(arguments))?;
        Ok(true)
    }

    /// Where its log is.
    pub fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.dir.join(name);
        std::fs::write(&path, text).map_err(Error::io("writing", &path))?;
        Ok(path)
    }
}

/// A call of the module.
fn support(top: &Path, verb: &str, dir: &Path, database: Option<&(String, u32)>) -> Command {
    let mut command = Command::new("python3");
    command.current_dir(top).args(["-m", "tests.support.ironic", verb]).arg(dir);
    if let Some((url, _)) = database {
        command.args(["--database", url]);
    }
    command
}

/// The top of the repository: here, or above this program.
fn top() -> Result<PathBuf> {
    let here = std::env::current_dir().map_err(Error::io("finding", "the current directory"))?;
    let program = std::env::current_exe().map_err(Error::io("finding", "this program"))?;
    let mut places = here.ancestors().chain(program.ancestors());
    places.find(|place| place.join(MODULE).is_file()).map(Path::to_owned).ok_or_else(|| {
        Error::Invalid(format!(
            "there is no {MODULE} here or above: call this in a checkout of the repository"
        ))
    })
}

/// A running server. Dropping it kills all its processes.
#[derive(Debug)]
pub(super) struct Running {
    pub server: Server,
    tree: Tree,
    database: Option<Tree>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.tree.kill();
    }
}

impl Running {
    /// Memory of the server.
    ///
    /// # Errors
    /// As [`Tree::memory`].
    pub fn memory(&self) -> Result<Memory> {
        self.tree.memory()
    }

    /// Memory of its database server, if it has one.
    ///
    /// # Errors
    /// As [`Tree::memory`].
    pub fn database_memory(&self) -> Result<Option<Memory>> {
        self.database.map(Tree::memory).transpose()
    }

    /// Processor time of the server, and of its database server if it has one.
    ///
    /// # Errors
    /// As [`Tree::cpu`].
    pub fn cpu(&self) -> Result<(Duration, Option<Duration>)> {
        Ok((self.tree.cpu()?, self.database.map(Tree::cpu).transpose()?))
    }
}
