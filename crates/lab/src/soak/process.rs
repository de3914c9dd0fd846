//! The processes of the site, and what is done to them.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::line::Line;
use super::{DATABASE, Options};
use crate::error::{Error, Result};
use crate::fleet::Api;
use crate::postgres::{Cluster, url_of};
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
    is_stopped: bool,
    /// Its way to the database.
    line: Line,
    /// When it is started again; none: it runs, or stays away until somebody says otherwise.
    pub starts_at: Option<Instant>,
    /// It is not started by itself.
    pub is_kept_away: bool,
    /// The most memory that it had, of all its lives.
    memory_kib: u64,
    /// Length of its log when it was last started.
    log_length: u64,
    /// It said so since.
    was_ready: bool,
}

impl Site {
    /// Prepares them; none runs yet.
    pub fn new(dir: &Path, cluster: &Cluster, options: &Options) -> Result<Self> {
        let Options { billet, processes, machines, times, .. } = options;
        let database = format!("{}/{DATABASE}", cluster.url());
        let ramdisk = dir.join("state/ramdisk");
        std::fs::create_dir_all(&ramdisk).map_err(Error::io("creating", &ramdisk))?;
        for file in ["vmlinuz", "initramfs"] {
            // Nobody boots them: a simulated machine has its agent inside.
            let path = ramdisk.join(file);
            std::fs::write(&path, "not looked at").map_err(Error::io("writing", &path))?;
        }
        let config = dir.join("billet.toml");
        // A machine whose token got lost with a process is started again soon, and as often as need be.
        let boot_retry = (times.boot.as_secs() * 6).max(15);
        let settings = format!(
            "[api]\nauth = \"none\"\nenabled_hardware_types = [\"ipmi\"]\n[netboot]\nenabled = false\n[conductor]\n\
             automated_clean = false\nmax_concurrent_deploy = {}\nboot_retry = {boot_retry}\nboot_attempts = 50\n",
            machines + 1
        );
        std::fs::write(&config, settings).map_err(Error::io("writing", &config))?;
        let mut ports = PORTS.skip(std::process::id() as usize % 5000).filter(|port| is_free(*port));
        let mut made = Vec::with_capacity(*processes);
        for number in 1..=*processes {
            let port = ports.next().ok_or_else(|| Error::Invalid("no port is free".to_owned()))?;
            let name = format!("p{number}");
            made.push(Process {
                line: Line::start(dir.join(&name), cluster.socket())?,
                name,
                address: (Ipv4Addr::LOCALHOST, port).into(),
                child: None,
                is_stopped: false,
                starts_at: None,
                is_kept_away: false,
                memory_kib: 0,
                log_length: 0,
                was_ready: false,
            });
        }
        Ok(Self { billet: billet.to_owned(), dir: dir.to_owned(), database, processes: made })
    }

    /// The state directory that they share.
    pub fn state_dir(&self) -> PathBuf {
        self.dir.join("state")
    }

    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.processes.iter().map(|process| process.address).collect()
    }

    /// Starts those that don't run, lets those go on that were stopped or cut off, and waits until all answer.
    pub async fn start_all(&mut self) -> Result<()> {
        for index in 0..self.processes.len() {
            self.resume(index);
            self.mend(index);
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
        let database = format!("{}/{DATABASE}", url_of(self.processes[index].line.dir()));
        let (mut command, state_dir) = (self.command(&database), self.state_dir());
        let process = &mut self.processes[index];
        command
            .arg("serve")
            .arg("--config")
            .arg(self.dir.join("billet.toml"))
            .arg("--state-dir")
            .arg(state_dir)
            .args(["--listen", &process.address.to_string(), "--hostname", &process.name])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        process.child =
            Some(command.spawn().map_err(|source| crate::process::spawn_error(&command, source))?);
        process.starts_at = None;
        process.is_kept_away = false;
        process.log_length = length;
        process.was_ready = false;
        Ok(())
    }

    fn command(&self, database: &str) -> Command {
        let mut command = Command::new(&self.billet);
        command.env("BILLET_DATABASE", database);
        command
    }

    /// `kill -9`
    pub fn kill(&mut self, index: usize) {
        let process = &mut self.processes[index];
        process.weigh();
        process.is_stopped = false;
        if let Some(mut child) = process.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Stops one with everything that it has under way.
    pub fn stop(&mut self, index: usize) {
        self.processes[index].signal(Signal::SIGSTOP);
        self.processes[index].is_stopped = true;
    }

    /// Lets one go on.
    pub fn resume(&mut self, index: usize) {
        if std::mem::take(&mut self.processes[index].is_stopped) {
            self.processes[index].signal(Signal::SIGCONT);
        }
    }

    /// Cuts one off from the database.
    pub fn cut(&mut self, index: usize) {
        self.processes[index].line.cut();
    }

    /// Lets one have the database again.
    pub fn mend(&mut self, index: usize) {
        self.processes[index].line.mend();
    }

    /// The most memory that any process had, MiB.
    pub fn memory_mib(&mut self) -> f64 {
        self.processes.iter_mut().for_each(Process::weigh);
        self.processes.iter().map(|process| process.memory_kib).max().unwrap_or_default() as f64 / 1024.0
    }

    /// Does one run that has said that it is ready?
    pub fn is_ready(&mut self, index: usize) -> bool {
        self.processes[index].is_up() && self.was_ready(index)
    }

    /// Has a process said that it is ready since it was last started? One that was stopped in the middle of that may find its database
    /// gone, and end.
    pub fn was_ready(&mut self, index: usize) -> bool {
        if !self.processes[index].was_ready {
            let process = &self.processes[index];
            let log = std::fs::read(self.log(&process.name)).unwrap_or_default();
            let since =
                log.get(usize::try_from(process.log_length).unwrap_or_default()..).unwrap_or_default();
            let is_ready = String::from_utf8_lossy(since).contains("\"message\":\"ready\"");
            self.processes[index].was_ready = is_ready;
        }
        self.processes[index].was_ready
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
        let mut command = self.command(&self.database);
        command.arg("db").arg("--state-dir").arg(self.state_dir()).arg("check");
        process::output(&mut command).map(drop)
    }
}

impl Process {
    /// Does it run, is not stopped, and has the database?
    pub fn is_up(&mut self) -> bool {
        !self.is_stopped && !self.line.is_cut() && !self.has_ended()
    }

    /// Notes how much memory it had at most so far.
    fn weigh(&mut self) {
        let Some(child) = &self.child else { return };
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = most.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        self.memory_kib = self.memory_kib.max(kib.unwrap_or_default());
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
