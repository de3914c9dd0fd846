//! One machine: its power, and what it does when that comes on.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::agent::{Agents, Commands};
use super::api::{Api, Lookup};
use super::plan::Character;
use super::{Times, address, mac};
use crate::chassis::{BootDevice, BootFlags, Chassis, ChassisFuture, Control};

/// Between two tries to reach the API.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// Heartbeats come at least so often, whatever the server's own timeout: a third of Ironic's default.
const BEAT: Duration = Duration::from_secs(100);

/// What a machine has been through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diary {
    /// Times that it was powered on or reset.
    pub boots: u64,
    /// Boots that ended in a ramdisk which was given a token.
    pub ramdisks: u64,
    /// Images written to the end, repeats included.
    pub writes: u64,
    /// The image that is on the disk; none where it is empty or half written.
    pub image: Option<String>,
    /// The checksum that came with it.
    pub checksum: Option<String>,
    /// Times that the disk was erased.
    pub erased: u64,
}

/// A machine of a fleet.
pub(super) struct Machine {
    pub number: u32,
    pub character: Character,
    pub times: Times,
    power: Mutex<Power>,
    /// How often the BMC was asked for the power.
    asked: AtomicU64,
    diary: Mutex<Diary>,
    boots: watch::Sender<u64>,
    agents: Arc<Agents>,
    api: Arc<Api>,
    stop: CancellationToken,
}

/// The power switch, and what runs while it is on.
#[derive(Default)]
struct Power {
    is_on: bool,
    /// Ends what the machine does since it was powered on.
    running: Option<CancellationToken>,
    /// The commands of the ramdisk that runs.
    commands: Option<Arc<Commands>>,
}

impl Machine {
    pub fn new(
        number: u32,
        character: Character,
        times: Times,
        agents: &Arc<Agents>,
        api: &Arc<Api>,
        stop: &CancellationToken,
    ) -> Self {
        Self {
            number,
            character,
            times,
            power: Mutex::default(),
            asked: AtomicU64::new(0),
            diary: Mutex::default(),
            boots: watch::channel(0).0,
            agents: agents.clone(),
            api: api.clone(),
            stop: stop.clone(),
        }
    }

    /// What it has been through.
    pub fn diary(&self) -> Diary {
        lock(&self.diary).clone()
    }

    /// Is it powered?
    pub fn is_on(&self) -> bool {
        lock(&self.power).is_on
    }

    /// How often the BMC was asked for the power, and answered.
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// Somebody presses the machine's own power button.
    pub fn press(self: &Arc<Self>) {
        if lock(&self.power).is_on {
            self.power_off();
        } else {
            self.boot(BootFlags { device: BootDevice::None, persistent: false, uefi: false });
        }
    }

    /// Writes something into the diary.
    pub fn note(&self, change: impl FnOnce(&mut Diary)) {
        change(&mut lock(&self.diary));
    }

    /// The commands of the ramdisk that runs, if one does.
    pub fn commands(&self) -> Option<Arc<Commands>> {
        lock(&self.power).commands.clone()
    }

    /// The ramdisk ends, as in a crash; the power stays on.
    pub fn die(&self) {
        let mut power = lock(&self.power);
        power.commands = None;
        if let Some(running) = power.running.take() {
            running.cancel();
        }
    }

    /// Cuts the power.
    pub fn power_off(&self) {
        self.die();
        lock(&self.power).is_on = false;
    }

    /// Applies power or resets, and begins what follows from it.
    fn boot(self: &Arc<Self>, flags: BootFlags) {
        self.die();
        let running = self.stop.child_token();
        {
            let mut power = lock(&self.power);
            power.is_on = true;
            power.running = Some(running.clone());
        }
        self.note(|diary| diary.boots += 1);
        self.boots.send_modify(|boots| *boots += 1);
        // Without an override it starts from its disk, where a deployed system lies; nothing is to be simulated of that.
        if flags.device != BootDevice::Pxe {
            return;
        }
        let machine = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = running.cancelled() => {}
                () = machine.ramdisk() => {}
            }
        });
    }

    /// The ramdisk: looks its node up until it is known, then beats.
    async fn ramdisk(&self) {
        tokio::time::sleep(self.times.boot).await;
        let (node, token) = loop {
            match self.api.lookup(&mac(self.number)).await {
                Ok(Lookup::Known { node, token }) => break (node, token),
                // The token went to another boot: as the real agent does, nothing until the power is cut.
                Ok(Lookup::Masked) => return std::future::pending().await,
                Ok(Lookup::Unknown) => {}
                Err(error) => tracing::debug!(machine = self.number, %error, "no lookup"),
            }
            tokio::time::sleep(TRY_AGAIN).await;
        };
        let bell = Arc::new(Notify::new());
        lock(&self.power).commands = Some(Arc::new(Commands::new(token.clone(), bell.clone())));
        self.note(|diary| diary.ramdisks += 1);
        let callback_url = self.agents.url(address(self.number));
        loop {
            let wait = match self.api.heartbeat(&node, &token, &callback_url, self.agents.certificate()).await
            {
                Ok(()) => BEAT,
                Err(error) => {
                    tracing::debug!(machine = self.number, %error, "no heartbeat");
                    TRY_AGAIN
                }
            };
            // Elapsed or rung: a heartbeat is due.
            let _ = tokio::time::timeout(wait, bell.notified()).await;
        }
    }
}

/// The BMC's side. A machine is switched by its own handle, since what it begins outlives the call.
impl Chassis for Machine {
    fn is_on(&self) -> ChassisFuture<'_, Result<bool, String>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Ok(lock(&self.power).is_on) })
    }

    fn control(&self, control: Control, flags: BootFlags) -> ChassisFuture<'_, Result<(), String>> {
        let machine = self.agents.machine(address(self.number));
        Box::pin(async move {
            let machine = machine.as_ref().and_then(Weak::upgrade).ok_or("the fleet is ending")?;
            match control {
                Control::PowerUp if lock(&machine.power).is_on => {}
                Control::PowerUp | Control::PowerCycle | Control::HardReset => machine.boot(flags),
                Control::PowerDown | Control::SoftShutdown => machine.power_off(),
                Control::DiagnosticInterrupt => {}
            }
            Ok(())
        })
    }

    fn boot_flags_changed(&self, _flags: BootFlags) -> ChassisFuture<'_, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }

    fn boots(&self) -> watch::Receiver<u64> {
        self.boots.subscribe()
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
