//! A machine: the task that owns its QEMU process, and the handle that the rest of the lab holds.
//!
//! One task a machine takes commands in turn and is the only one to start or kill the process, so that a reset by the BMC, a reboot by the
//! guest and a crash of QEMU can't cross.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot, watch};

use super::arguments::{BootOrder, Firmware, MachineConfig, OVMF_CODE, OVMF_VARS, Paths, arguments};
use super::console::Console;
use super::qmp::{Event, Qmp};
use crate::chassis::{BootDevice, BootFlags, Chassis, ChassisFuture, Control};
use crate::error::{Error, Result};
use crate::process;

const QEMU: &str = "qemu-system-x86_64";

/// One virtual machine and its power button. Dropping it kills the machine.
#[derive(Debug)]
pub struct Machine {
    config: MachineConfig,
    paths: Paths,
    console: Console,
    is_on: watch::Receiver<bool>,
    boots: watch::Receiver<u64>,
    commands: mpsc::Sender<Request>,
    task: tokio::task::JoinHandle<()>,
}

/// What the handle asks of the task.
enum Request {
    Control(Control, BootFlags, oneshot::Sender<Result<(), String>>),
    BootFlags(BootFlags),
}

impl Drop for Machine {
    fn drop(&mut self) {
        // The task owns the process, which is killed when the task lets go of it.
        self.task.abort();
    }
}

impl Machine {
    /// Makes the machine's files in `dir` (disks that are there already are kept, if they are as large as asked) and leaves it powered off.
    ///
    /// # Errors
    /// [`Error::Missing`] without OVMF for a UEFI machine, [`Error::Invalid`] for a disk of another size, [`Error::Io`].
    pub async fn create(config: MachineConfig, dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir).map_err(Error::io("creating", dir))?;
        let paths = Paths { dir: dir.to_path_buf() };
        for (index, disk) in config.disks.iter().enumerate() {
            make_disk(&paths.disk(index), disk.size_bytes)?;
        }
        if config.firmware == Firmware::Uefi {
            if !Path::new(OVMF_CODE).exists() {
                return Err(Error::Missing {
                    what: format!("the UEFI firmware {OVMF_CODE}"),
                    package: "ovmf".into(),
                });
            }
            // Kept between power cycles: the operating system's boot entries are in here.
            if !paths.variables().exists() {
                std::fs::copy(OVMF_VARS, paths.variables())
                    .map_err(Error::io("copying the UEFI variables to", paths.variables()))?;
            }
        }
        let console = Console::create(&paths.console_log()).await?;
        let (on, is_on) = watch::channel(false);
        let (booted, boots) = watch::channel(0);
        let (commands, inbox) = mpsc::channel(16);
        let driver = Driver {
            config: config.clone(),
            paths: paths.clone(),
            console: console.clone(),
            on,
            booted,
            flags: NO_OVERRIDE,
            running: None,
        };
        let task = tokio::spawn(driver.run(inbox));
        Ok(Self { config, paths, console, is_on, boots, commands, task })
    }

    /// What it is made of.
    #[must_use]
    pub fn config(&self) -> &MachineConfig {
        &self.config
    }

    /// Its serial console.
    #[must_use]
    pub fn console(&self) -> &Console {
        &self.console
    }

    /// The file behind disk `index`. Don't touch it while the machine is on.
    #[must_use]
    pub fn disk_path(&self, index: usize) -> PathBuf {
        self.paths.disk(index)
    }

    /// The power state, to read or to wait on.
    #[must_use]
    pub fn power(&self) -> watch::Receiver<bool> {
        self.is_on.clone()
    }

    async fn ask(&self, control: Control, flags: BootFlags) -> Result<(), String> {
        let (sender, answer) = oneshot::channel();
        let gone = || format!("machine {} is being taken down", self.config.name);
        self.commands.send(Request::Control(control, flags, sender)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

impl Chassis for Machine {
    fn is_on(&self) -> ChassisFuture<'_, Result<bool, String>> {
        Box::pin(async { Ok(*self.is_on.borrow()) })
    }

    fn control(&self, control: Control, flags: BootFlags) -> ChassisFuture<'_, Result<(), String>> {
        Box::pin(self.ask(control, flags))
    }

    fn boot_flags_changed(&self, flags: BootFlags) -> ChassisFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let sent = self.commands.send(Request::BootFlags(flags)).await;
            sent.map_err(|_| format!("machine {} is being taken down", self.config.name))
        })
    }

    fn boots(&self) -> watch::Receiver<u64> {
        self.boots.clone()
    }
}

/// The firmware's own order.
const NO_OVERRIDE: BootFlags = BootFlags { device: BootDevice::None, persistent: false, uefi: false };

/// The machine's task.
struct Driver {
    config: MachineConfig,
    paths: Paths,
    console: Console,
    on: watch::Sender<bool>,
    booted: watch::Sender<u64>,
    /// For the next boot.
    flags: BootFlags,
    running: Option<Running>,
}

/// One boot: a QEMU process.
struct Running {
    process: Child,
    qmp: Qmp,
    events: mpsc::Receiver<Event>,
    console: tokio::task::JoinHandle<()>,
    /// QEMU announced that the guest asked for a reset.
    wants_reboot: bool,
}

impl Driver {
    async fn run(mut self, mut inbox: mpsc::Receiver<Request>) {
        loop {
            let command = match &mut self.running {
                None => inbox.recv().await,
                Some(running) => tokio::select! {
                    command = inbox.recv() => command,
                    () = running.end() => {
                        self.ended().await;
                        continue;
                    }
                },
            };
            match command {
                None => return,
                Some(Request::BootFlags(flags)) => self.flags = flags,
                Some(Request::Control(control, flags, answer)) => {
                    self.flags = flags;
                    let outcome = self.control(control).await;
                    if let Err(error) = &outcome {
                        tracing::warn!(machine = self.config.name, ?control, error, "power control failed");
                    }
                    let _ = answer.send(outcome);
                }
            }
        }
    }

    async fn control(&mut self, control: Control) -> Result<(), String> {
        match (control, &self.running) {
            (Control::PowerUp, None) => self.boot().await,
            (Control::PowerUp, Some(_)) | (Control::PowerDown | Control::SoftShutdown, None) => Ok(()),
            (Control::PowerDown, Some(_)) => {
                self.kill().await;
                self.console.note("power off").await;
                Ok(())
            }
            (Control::PowerCycle | Control::HardReset, Some(_)) => {
                self.kill().await;
                self.boot().await
            }
            (Control::SoftShutdown, Some(running)) => run(&running.qmp, "system_powerdown").await,
            (Control::DiagnosticInterrupt, Some(running)) => run(&running.qmp, "inject-nmi").await,
            (Control::PowerCycle | Control::HardReset | Control::DiagnosticInterrupt, None) => {
                Err(format!("machine {} is off", self.config.name))
            }
        }
    }

    /// The process has ended by itself: a reboot, a shutdown or a crash.
    async fn ended(&mut self) {
        let Some(running) = self.running.take() else { return };
        let wants_reboot = running.wants_reboot;
        running.settle().await;
        if wants_reboot {
            if let Err(error) = self.boot().await {
                tracing::error!(
                    machine = self.config.name,
                    error,
                    "the machine did not come back from its reset"
                );
            }
        } else {
            self.on.send_replace(false);
            self.console.note("powered off by itself").await;
        }
    }

    async fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            let _ = running.process.start_kill();
            let _ = running.process.wait().await;
            running.settle().await;
        }
        self.on.send_replace(false);
    }

    /// Starts QEMU for one boot and uses one-shot flags up.
    async fn boot(&mut self) -> Result<(), String> {
        let order = BootOrder::from(self.flags);
        let number = *self.booted.borrow() + 1;
        let first = match order {
            BootOrder::DiskFirst => "disk",
            BootOrder::NetworkFirst => "network",
        };
        if self.flags.uefi != (self.config.firmware == Firmware::Uefi)
            && self.flags.device != BootDevice::None
        {
            // A board with one kind of firmware ignores the wish for the other.
            tracing::debug!(
                machine = self.config.name,
                uefi = self.flags.uefi,
                "boot flags ask for the other firmware"
            );
        }
        self.console.note(&format!("boot {number}: {:?}, {first} first", self.config.firmware)).await;
        match self.start(order).await {
            Ok(running) => self.running = Some(running),
            Err(error) => {
                self.on.send_replace(false);
                return Err(error.to_string());
            }
        }
        if !self.flags.persistent {
            self.flags = NO_OVERRIDE;
        }
        self.on.send_replace(true);
        self.booted.send_replace(number);
        Ok(())
    }

    async fn start(&self, order: BootOrder) -> Result<Running> {
        let (ours, theirs) = UnixStream::pair().map_err(Error::io("making", "a socket pair"))?;
        let theirs = theirs.into_std().map_err(Error::io("preparing", "the QMP socket"))?;
        let descriptor = theirs.as_raw_fd();
        let log_path = self.paths.dir.join("qemu.log");
        let log = std::fs::File::create(&log_path).map_err(Error::io("creating", &log_path))?;
        let mut command = Command::new(QEMU);
        command
            .args(arguments(&self.config, &self.paths, order, descriptor))
            .current_dir(&self.paths.dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true);
        // SAFETY: between fork and exec only one system call is made; it lets QEMU, and no process started at the same moment, inherit
        // its end of the QMP socket.
        unsafe {
            command.pre_exec(move || {
                fcntl(BorrowedFd::borrow_raw(descriptor), FcntlArg::F_SETFD(FdFlag::empty()))?;
                Ok(())
            });
        }
        let mut process = command.spawn().map_err(|source| process::spawn_error(command.as_std(), source))?;
        debug_assert_eq!(theirs.as_fd().as_raw_fd(), descriptor);
        drop(theirs);
        let (Some(input), Some(output)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(Error::Invalid("QEMU was started without its pipes".into()));
        };
        let console = tokio::spawn(self.console.clone().carry(output, input));
        let (qmp, events) = match Qmp::handshake(ours).await {
            Ok(connected) => connected,
            Err(error) => {
                let _ = process.start_kill();
                let status =
                    process.wait().await.map_or_else(|error| error.to_string(), |status| status.to_string());
                let said = std::fs::read_to_string(&log_path).unwrap_or_default();
                return Err(Error::Command {
                    command: format!("{QEMU} for {}", self.config.name),
                    status: format!("{status}; {error}"),
                    output: process::tail(&said),
                });
            }
        };
        if self.config.tap.is_none() {
            let unplugged = serde_json::json!({ "name": "nic0", "up": false });
            qmp.execute("set_link", unplugged).await.map_err(|error| Error::Invalid(error.to_string()))?;
        }
        Ok(Running { process, qmp, events, console, wants_reboot: false })
    }
}

impl Running {
    /// Waits for the process to end. May be dropped and called again.
    async fn end(&mut self) {
        // The event channel closes when QEMU closes its socket, which is when it exits; so all of its last words are heard.
        while let Some(event) = self.events.recv().await {
            if event.name == "SHUTDOWN" {
                let reason = event.data.get("reason").and_then(Value::as_str).unwrap_or_default();
                self.wants_reboot =
                    matches!(reason, "guest-reset" | "host-qmp-system-reset" | "subsystem-reset");
            }
        }
        let _ = self.process.wait().await;
    }

    /// Lets the console finish what the process wrote last.
    async fn settle(self) {
        let Self { process, qmp, console, .. } = self;
        drop((process, qmp));
        let _ = console.await;
    }
}

async fn run(qmp: &Qmp, command: &str) -> Result<(), String> {
    qmp.execute(command, Value::Null).await.map(|_| ()).map_err(|error| error.to_string())
}

fn make_disk(path: &Path, size_bytes: u64) -> Result<()> {
    if let Ok(data) = std::fs::metadata(path) {
        if data.len() == size_bytes {
            return Ok(());
        }
        let (path, there) = (path.display(), data.len());
        return Err(Error::Invalid(format!(
            "{path} has {there} bytes, but a disk of {size_bytes} is asked for; remove it or ask for its size"
        )));
    }
    let file = std::fs::File::create(path).map_err(Error::io("creating", path))?;
    file.set_len(size_bytes).map_err(Error::io("sizing", path))
}
