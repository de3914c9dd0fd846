//! A MariaDB server of its own, which stands behind Ironic: made, started and thrown away. As Debian sets it up but for its place, so that
//! what was committed survives the server.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User};

use crate::bench::server::pause;
use crate::error::{Error, Result};
use crate::{postgres, process};

/// How long it may take until it answers.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Whom Debian's package runs it as.
const USER: &str = "mysql";
const DATABASE: &str = "ironic";

/// A running server, reached by a socket that only this user and its own can reach. It ends, and is removed, with this value.
pub(super) struct MariaDb {
    server: Child,
    client: PathBuf,
    dir: tempfile::TempDir,
}

impl MariaDb {
    /// Makes a server with an empty database, and starts it.
    ///
    /// # Errors
    /// [`Error::Missing`] without MariaDB; else what its programs said.
    pub fn start() -> Result<Self> {
        let [daemon, installer, client] =
            [process::find("mariadbd")?, process::find("mariadb-install-db")?, process::find("mariadb")?];
        let user = postgres::unprivileged(USER, "mariadb-server")?;
        let dir = tempfile::tempdir().map_err(Error::io("making", "a temporary directory"))?;
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700))
            .map_err(Error::io("protecting", dir.path()))?;
        if let Some(user) = &user {
            chown(dir.path(), Some(user.uid.as_raw()), Some(user.gid.as_raw()))
                .map_err(Error::io("giving away", dir.path()))?;
        }
        let command = |program: &PathBuf| {
            let mut command = Command::new(program);
            command.current_dir(dir.path()).arg("--no-defaults");
            if let Some(User { uid, gid, .. }) = &user {
                command.uid(uid.as_raw()).gid(gid.as_raw());
            }
            command.arg(format!("--datadir={}", dir.path().join("data").display()));
            command
        };
        let mut install = command(&installer);
        process::output(install.args(["--auth-root-authentication-method=normal", "--skip-test-db"]))?;
        let log_path = dir.path().join("log");
        let log = std::fs::File::create(&log_path).map_err(Error::io("creating", &log_path))?;
        let mut serve = command(&daemon);
        serve.arg("--skip-networking").arg(format!("--socket={}", dir.path().join("socket").display()));
        // What Debian's configuration says of the character set.
        serve.args(["--character-set-server=utf8mb4", "--collation-server=utf8mb4_general_ci"]);
        serve.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let server = serve.spawn().map_err(|source| process::spawn_error(&serve, source))?;
        let mut server = Self { server, client, dir };
        server.wait_until_ready()?;
        server.say(&format!("CREATE DATABASE {DATABASE}"))?;
        Ok(server)
    }

    /// The URL of the database, as SQLAlchemy wants it.
    pub fn url(&self) -> String {
        let socket = self.dir.path().join("socket");
        format!("mysql+pymysql://root@localhost/{DATABASE}?charset=utf8mb4&unix_socket={}", socket.display())
    }

    /// What it calls its version.
    ///
    /// # Errors
    /// What the client said.
    pub fn version(&self) -> Result<String> {
        let said = self.say("SELECT VERSION()")?;
        Ok(said.split('-').next().unwrap_or_default().trim().to_owned())
    }

    pub fn pid(&self) -> u32 {
        self.server.id()
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let began = Instant::now();
        loop {
            let said = self.say("SELECT 1");
            if said.is_ok() {
                return Ok(());
            }
            let has_ended = matches!(self.server.try_wait(), Ok(Some(_)));
            if has_ended || began.elapsed() > PATIENCE {
                let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
                return Err(Error::Timeout {
                    what: "MariaDB's first answer".to_owned(),
                    seconds: began.elapsed().as_secs(),
                    hint: format!("its log ends: {}", process::tail(&log)),
                });
            }
            pause(LOOK_AGAIN);
        }
    }

    fn say(&self, statement: &str) -> Result<String> {
        let mut client = Command::new(&self.client);
        client.args(["--no-defaults", "--user=root", "--skip-column-names", "--execute", statement]);
        client.arg(format!("--socket={}", self.dir.path().join("socket").display()));
        process::output(&mut client).map(|said| String::from_utf8_lossy(&said).into_owned())
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        if let Ok(pid) = i32::try_from(self.server.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let _ = self.server.wait();
    }
}
