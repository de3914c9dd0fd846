//! The processes of the site, and what is done to them.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::error::{Error, Result};
use crate::fleet::Api;
use crate::process;

/// A process answers within this time of its start.
const READY_LIMIT: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Where ports are looked for: below those that the system gives to clients, so that nobody takes one while its process is dead.
const PORTS: std::ops::Range<u16> = 20_000..30_000;

/// Several `billet serve` on one database.
pub(super) struct Site {
    billet: PathBuf,
    dir: PathBuf,
    database: String,
    pub processes: Vec<Process>,
}

/// One of them.
pub(super) struct Process {
    pub name: String,
    pub address: SocketAddr,
    child: Option<Child>,
    pub paused_until: Option<Instant>,
    pub starts_at: Option<Instant>,
    /// Length of its log when it was last started.
    log_length: u64,
}

impl Site {
    /// Prepares them; none runs yet.
    pub fn new(billet: &Path, dir: &Path, database: String, processes: usize, machines: u32) -> Result<Self> {
        let ramdisk = dir.join("state/ramdisk");
        std::fs::create_dir_all(&ramdisk).map_err(Error::io("creating", &ramdisk))?;
        for file in ["vmlinuz", "initramfs"] {
            // Nobody boots them: a simulated machine has its agent inside.
            let path = ramdisk.join(file);
            std::fs::write(&path, "not looked at").map_err(Error::io("writing", &path))?;
        }
        let config = dir.join("billet.toml");
        // A machine whose token got lost with a process is started again soon, and as often as need be.
        let settings = format!(
            "[api]\nauth = \"none\"\nenabled_hardware_types = [\"ipmi\"]\n[netboot]\nenabled = false\n[conductor]\n\
             automated_clean = false\nmax_concurrent_deploy = {}\nboot_retry = 30\nboot_attempts = 50\n",
            machines + 1
        );
        std::fs::write(&config, settings).map_err(Error::io("writing", &config))?;
        let mut ports = PORTS.skip(std::process::id() as usize % 5000).filter(|port| is_free(*port));
        let mut made = Vec::with_capacity(processes);
        for number in 1..=processes {
            let port = ports.next().ok_or_else(|| Error::Invalid("no port is free".to_owned()))?;
            made.push(Process {
                name: format!("p{number}"),
                address: (Ipv4Addr::LOCALHOST, port).into(),
                child: None,
                paused_until: None,
                starts_at: None,
                log_length: 0,
            });
        }
        Ok(Self { billet: billet.to_owned(), dir: dir.to_owned(), database, processes: made })
    }

    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.processes.iter().map(|process| process.address).collect()
    }

    /// Starts those that don't run, lets those go on that were stopped, and waits until all answer.
    pub async fn start_all(&mut self) -> Result<()> {
        for index in 0..self.processes.len() {
            self.resume(index);
            let is_dead = self.processes[index].has_ended();
            if is_dead {
                self.start(index)?;
            }
        }
        let until = Instant::now() + READY_LIMIT;
        for process in &self.processes {
            let api = Api::new(vec![process.address]);
            while !api.ask("GET", "/v1", None, None).await.is_ok_and(|(status, _)| status == 200) {
                if Instant::now() > until {
                    return Err(Error::Timeout {
                        what: format!("the first answer of {}", process.name),
                        seconds: READY_LIMIT.as_secs(),
                        hint: format!("its log ends: {}", self.last_words(&process.name)),
                    });
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
        Ok(())
    }

    /// Starts one that does not run.
    pub fn start(&mut self, index: usize) -> Result<()> {
        let path = self.log(&self.processes[index].name);
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(Error::io("creating", &path))?;
        let length = log.metadata().map_or(0, |about| about.len());
        let mut command = self.command();
        let process = &mut self.processes[index];
        command
            .arg("serve")
            .arg("--config")
            .arg(self.dir.join("billet.toml"))
            .arg("--state-dir")
            .arg(self.dir.join("state"))
            .args(["--listen", &process.address.to_string(), "--hostname", &process.name])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        process.child =
            Some(command.spawn().map_err(|source| crate::process::spawn_error(&command, source))?);
        process.starts_at = None;
        process.log_length = length;
        Ok(())
    }

    /// `billet` with the database of the site.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.billet);
        command.env("BILLET_DATABASE", &self.database);
        command
    }

    /// `kill -9`
    pub fn kill(&mut self, index: usize) {
        if let Some(mut child) = self.processes[index].child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Stops one until `until`, with everything that it has under way.
    pub fn pause(&mut self, index: usize, until: Instant) {
        self.processes[index].signal(Signal::SIGSTOP);
        self.processes[index].paused_until = Some(until);
    }

    /// Lets one go on.
    pub fn resume(&mut self, index: usize) {
        if self.processes[index].paused_until.take().is_some() {
            self.processes[index].signal(Signal::SIGCONT);
        }
    }

    /// Has a process said that it is ready since it was last started? One that was stopped in the middle of that may find its database
    /// gone, and end.
    pub fn was_ready(&self, index: usize) -> bool {
        let process = &self.processes[index];
        let log = std::fs::read(self.log(&process.name)).unwrap_or_default();
        let since = log.get(usize::try_from(process.log_length).unwrap_or_default()..).unwrap_or_default();
        String::from_utf8_lossy(since).contains("\"message\":\"ready\"")
    }

    /// The end of a process's log.
    pub fn last_words(&self, name: &str) -> String {
        process::tail(&String::from_utf8_lossy(&std::fs::read(self.log(name)).unwrap_or_default()))
    }

    fn log(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.log"))
    }

    /// `billet db check`: what it finds wrong is the error.
    pub fn check(&self) -> Result<()> {
        let mut command = self.command();
        command.arg("db").arg("--state-dir").arg(self.dir.join("state")).arg("check");
        process::output(&mut command).map(drop)
    }
}

impl Process {
    /// Does it run, and is not stopped?
    pub fn is_up(&mut self) -> bool {
        self.paused_until.is_none() && !self.has_ended()
    }

    /// It does not run.
    pub fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None)))
    }

    fn signal(&self, signal: Signal) {
        if let Some(id) = self.child.as_ref().and_then(|child| i32::try_from(child.id()).ok()) {
            let _ = kill(Pid::from_raw(id), signal);
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        for index in 0..self.processes.len() {
            self.kill(index);
        }
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
