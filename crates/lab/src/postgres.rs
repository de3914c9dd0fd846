//! A PostgreSQL cluster of its own: made, started, killed and thrown away.

use std::ffi::OsStr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, geteuid};

use crate::error::{Error, Result};
use crate::process;

/// The user whom the database knows, whoever runs it.
const SUPERUSER: &str = "postgres";
/// What it calls its socket, in whichever directory.
pub(crate) const SOCKET: &str = ".s.PGSQL.5432";
/// Where Debian puts the programs of each version.
const DEBIAN: &str = "/usr/lib/postgresql";
/// How long a server may take until it answers, also after a crash.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);

/// What a commit is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// What was committed survives the server: as in production.
    Full,
    /// Nothing is forced to the disk: for tests that don't end the server.
    None,
}

/// A running cluster, reached by a socket that only this user can reach. It ends, and is removed, with this value.
#[derive(Debug)]
pub struct Cluster {
    programs: PathBuf,
    durability: Durability,
    /// The user that runs it, where this process is root: PostgreSQL refuses to be.
    user: Option<User>,
    server: Option<Child>,
    dir: tempfile::TempDir,
}

impl Cluster {
    /// Makes a cluster and starts it.
    ///
    /// # Errors
    /// [`Error::Missing`] without PostgreSQL; else what its programs said.
    pub async fn start(durability: Durability) -> Result<Self> {
        let programs = programs()?;
        let user = unprivileged(SUPERUSER, "postgresql")?;
        let dir = tempfile::tempdir().map_err(Error::io("making", "a temporary directory"))?;
        // Nobody but its user gets to the socket, which lets in whoever comes.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700))
            .map_err(Error::io("protecting", dir.path()))?;
        if let Some(user) = &user {
            chown(dir.path(), Some(user.uid.as_raw()), Some(user.gid.as_raw()))
                .map_err(Error::io("giving away", dir.path()))?;
        }
        let mut cluster = Self { programs, durability, user, server: None, dir };
        let mut initdb = cluster.command("initdb");
        initdb.args([
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
            "--username",
            SUPERUSER,
        ]);
        process::output(initdb.arg("--pgdata").arg(cluster.data()))?;
        cluster.restart().await?;
        Ok(cluster)
    }

    /// The URL without a database, `postgres://…`; a database's name follows behind a slash.
    #[must_use]
    pub fn url(&self) -> String {
        url_of(self.dir.path())
    }

    /// The socket that it listens on.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join(SOCKET)
    }

    /// The server's first process, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(Child::id)
    }

    /// Makes a database; out comes its URL.
    ///
    /// # Errors
    /// What `createdb` said.
    pub fn create_database(&self, name: &str) -> Result<String> {
        let mut createdb = self.command("createdb");
        createdb.arg("--host").arg(self.dir.path()).args(["--username", SUPERUSER, "--", name]);
        process::output(&mut createdb)?;
        Ok(format!("{}/{name}", self.url()))
    }

    /// Ends the server as a power failure would.
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            // Its children end when they see that it is gone.
            let _ = server.kill();
            let _ = server.wait();
        }
    }

    /// Starts the server, ending it first if it runs; returns when it answers.
    ///
    /// # Errors
    /// [`Error::Timeout`] where it does not in time; its log is in the error.
    pub async fn restart(&mut self) -> Result<()> {
        self.stop();
        let log = self.dir.path().join("log");
        let file = std::fs::File::create(&log).map_err(Error::io("making", &log))?;
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).arg("-k").arg(self.dir.path());
        command.args(["-c", "listen_addresses=", "-c", "max_connections=400", "-c", "shared_buffers=128MB"]);
        if self.durability == Durability::None {
            command.args(["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]);
        }
        // What ends its maker need not end it.
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        self.server = Some(command.spawn().map_err(|source| process::spawn_error(&command, source))?);
        let until = Instant::now() + PATIENCE;
        while !self.answers() {
            let ended = self.server.as_mut().is_some_and(|server| matches!(server.try_wait(), Ok(Some(_))));
            // A server that was killed leaves children, and a new one waits for them to end.
            if ended && Instant::now() < until {
                self.server = Some(command.spawn().map_err(|source| process::spawn_error(&command, source))?);
            }
            if Instant::now() >= until {
                let text = std::fs::read_to_string(&log).unwrap_or_default();
                return Err(Error::Timeout {
                    what: "PostgreSQL's first answer".to_owned(),
                    seconds: PATIENCE.as_secs(),
                    hint: format!("its log ends: {}", process::tail(&text)),
                });
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    fn answers(&self) -> bool {
        let mut ready = self.command("pg_isready");
        ready.arg("--quiet").arg("--host").arg(self.dir.path());
        ready.status().is_ok_and(|status| status.success())
    }

    /// Ends the server in good order; its clients' changes are taken back.
    fn stop(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        if let Ok(pid) = i32::try_from(server.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGINT);
        }
        let _ = server.wait();
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.env("LC_ALL", "C.UTF-8").current_dir(self.dir.path());
        if let Some(user) = &self.user {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        command
    }
}

/// The URL of a server whose socket is in a directory, without a database.
pub(crate) fn url_of(dir: &Path) -> String {
    let dir = dir.to_string_lossy().replace('%', "%25").replace('/', "%2F");
    format!("postgres://{SUPERUSER}@{dir}")
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Where the server's programs are: Debian has those of the newest version out of everybody's way.
fn programs() -> Result<PathBuf> {
    let version = |path: &Path| path.file_name().and_then(OsStr::to_str).and_then(|name| name.parse().ok());
    let versions = std::fs::read_dir(DEBIAN).into_iter().flatten().flatten().map(|entry| entry.path());
    let newest = versions.filter_map(|path| version(&path).map(|number: u32| (number, path))).max();
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let places = newest.map(|(_, path)| path.join("bin")).into_iter().chain(std::env::split_paths(&on_path));
    places.into_iter().find(|place| place.join("initdb").exists()).ok_or_else(|| Error::Missing {
        what: "PostgreSQL's server".to_owned(),
        package: "postgresql".to_owned(),
    })
}

/// Whom to run a database server as: this user, unless that is root; then the package's own one, or nobody.
pub(crate) fn unprivileged(name: &str, package: &str) -> Result<Option<User>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let found = [name, "nobody"].into_iter().find_map(|name| User::from_name(name).ok().flatten());
    let missing = || Error::Missing { what: format!("a user for {package}"), package: package.to_owned() };
    found.map(Some).ok_or_else(missing)
}
