//! The server under measurement, and what the kernel says of it.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::connection::Connection;
use crate::error::{Error, Result};
use crate::process;

/// From its start to the first answer.
const READY_LIMIT: Duration = Duration::from_secs(30);
/// Between two looks at whether it answers.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// A line for the section `[api]` that leaves authentication out.
pub(super) const OPEN: &str = "auth = \"none\"\n";

/// A running `billet serve`. Dropping it kills it, which is as good an end as any.
#[derive(Debug)]
pub(super) struct Server {
    process: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// From its start to the first answer of `GET /healthcheck`.
    pub started_in: Duration,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// Starts the server without authentication, with `fake-hardware` and nothing on the network, with lines for the section
    /// `[conductor]`.
    ///
    /// # Errors
    /// As [`Server::start_with`].
    pub fn start_conductor(program: &Path, dir: &Path, conductor: &str) -> Result<Self> {
        Self::start_with(program, dir, None, OPEN, conductor)
    }

    /// Starts the server over a state directory below `dir`, and over a PostgreSQL database where a URL is given, with lines for the
    /// sections `[api]` and `[conductor]`; its log goes to `dir/log`.
    ///
    /// # Errors
    /// [`Error::Command`] with its last words when it ends at once, [`Error::Timeout`] when it does not answer.
    pub fn start_with(
        program: &Path,
        dir: &Path,
        database: Option<&str>,
        api: &str,
        conductor: &str,
    ) -> Result<Self> {
        let (command, address) = Self::command(program, dir, database, api, conductor)?;
        Self::spawn(command, address, ("/healthcheck", READY_LIMIT), &dir.join("log"))
    }

    /// What [`Server::start_with`] starts, and the address that it will listen on.
    ///
    /// # Errors
    /// [`Error::Io`] when its settings can't be written, or no port is free.
    pub fn command(
        program: &Path,
        dir: &Path,
        database: Option<&str>,
        api: &str,
        conductor: &str,
    ) -> Result<(Command, SocketAddr)> {
        let config = dir.join("billet.toml");
        let settings = format!(
            "[api]\n{api}enabled_hardware_types = [\"fake-hardware\", \"ipmi\"]\n[netboot]\nenabled = false\n\
             [conductor]\n{conductor}"
        );
        std::fs::write(&config, settings).map_err(Error::io("writing", &config))?;
        let address = free_port()?;
        let mut command = Command::new(program);
        command.arg("serve").arg("--config").arg(&config).arg("--state-dir").arg(dir.join("state"));
        command.args(["--listen", &address.to_string()]);
        if let Some(database) = database {
            command.args(["--database", database]);
        }
        Ok((command, address))
    }

    /// Starts any server, and waits until `path` is answered with 200, so long at most.
    ///
    /// # Errors
    /// As [`Server::start_with`].
    pub fn spawn(
        mut command: Command,
        address: SocketAddr,
        (path, limit): (&str, Duration),
        log_path: &Path,
    ) -> Result<Self> {
        let log = std::fs::File::create(log_path).map_err(Error::io("creating", log_path))?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let began = Instant::now();
        let process = command.spawn().map_err(|source| process::spawn_error(&command, source))?;
        let mut server = Self { process, address, started_in: Duration::ZERO };
        let last_words =
            || process::tail(&String::from_utf8_lossy(&std::fs::read(log_path).unwrap_or_default()));
        loop {
            let answers = Connection::open(address)
                .and_then(|mut connection| Ok(connection.ask("GET", path, b"")?.status == 200));
            if answers.unwrap_or(false) {
                server.started_in = began.elapsed();
                return Ok(server);
            }
            if let Ok(Some(status)) = server.process.try_wait() {
                let command = process::display(&command);
                return Err(Error::Command { command, status: status.to_string(), output: last_words() });
            }
            if began.elapsed() > limit {
                return Err(Error::Timeout {
                    what: format!("GET http://{address}{path}"),
                    seconds: limit.as_secs(),
                    hint: format!("its log:\n{}", last_words()),
                });
            }
            pause(LOOK_AGAIN);
        }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// A connection to it.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub fn connect(&self) -> Result<Connection> {
        Connection::open(self.address)
    }

    /// Processor time that it has used, all threads together.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Invalid`] when the kernel does not say.
    pub fn cpu(&self) -> Result<Duration> {
        cpu(&self.proc("stat"))
    }

    /// A line of `/proc/PID/status` in MiB: `VmRSS`, `VmHWM`.
    ///
    /// # Errors
    /// As [`Server::cpu`].
    pub fn memory_mib(&self, name: &str) -> Result<f64> {
        let path = self.proc("status");
        let text = std::fs::read_to_string(&path).map_err(Error::io("reading", &path))?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let kib: Option<f64> =
            line.and_then(|rest| rest.split_whitespace().next()).and_then(|kib| kib.parse().ok());
        kib.map(|kib| kib / 1024.0).ok_or_else(|| Error::Invalid(format!("{} has no {name}", path.display())))
    }

    fn proc(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.process.id()))
    }
}

/// Processor time of this process: the clients', and the fleet's.
///
/// # Errors
/// As [`Server::cpu`].
pub(super) fn own_cpu() -> Result<Duration> {
    cpu(Path::new("/proc/self/stat"))
}

fn cpu(path: &Path) -> Result<Duration> {
    let text = std::fs::read_to_string(path).map_err(Error::io("reading", path))?;
    // utime and stime are the 14th and 15th fields; the second is a name in brackets, which may hold anything.
    let behind_name = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: Option<u64> =
        behind_name.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().ok()).sum();
    let ticks = ticks.ok_or_else(|| Error::Invalid(format!("{} can't be read", path.display())))?;
    Ok(Duration::from_millis(ticks * 1000 / ticks_per_second()))
}

/// The kernel's clock ticks, in which `/proc/PID/stat` counts.
pub(super) fn ticks_per_second() -> u64 {
    let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok().flatten();
    ticks.and_then(|ticks| u64::try_from(ticks).ok()).filter(|ticks| *ticks > 0).unwrap_or(100)
}

/// A port that was free a moment ago.
pub(super) fn free_port() -> Result<SocketAddr> {
    let failed = || Error::io("looking for a free port on", "127.0.0.1");
    TcpListener::bind("127.0.0.1:0").map_err(failed())?.local_addr().map_err(failed())
}

/// Lets time pass.
#[expect(clippy::disallowed_methods, reason = "a benchmark's clients are threads and wait by the clock")]
pub(super) fn pause(time: Duration) {
    std::thread::sleep(time);
}
