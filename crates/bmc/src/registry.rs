//! One shared [`Bmc`] for each BMC.

use crate::fake::FakeBmc;
use crate::ipmi::{IpmiBmc, Limits, Settings};
use crate::{Bmc, PowerState};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often asking for a BMC also looks for idle ones.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// Hands out the one [`Bmc`] of each distinct settings, so that its session is used again and its pacing holds for everybody.
///
/// Changed settings (a new password) make a new one; the old one goes when it was idle for [`Limits::keep`]. Idle sessions are closed
/// when somebody asks for another BMC, or by [`Registry::evict_idle`].
#[derive(Debug)]
pub struct Registry {
    limits: Limits,
    shelves: Mutex<Shelves>,
}

#[derive(Debug)]
struct Shelves {
    /// By `host:port`: nearly always one.
    ipmi: HashMap<String, Vec<Arc<IpmiBmc>>>,
    fake: HashMap<String, Arc<FakeBmc>>,
    swept: Instant,
}

impl Registry {
    /// An empty registry whose BMCs will have these limits.
    pub fn new(limits: Limits) -> Self {
        let shelves = Shelves { ipmi: HashMap::new(), fake: HashMap::new(), swept: Instant::now() };
        Self { limits, shelves: Mutex::new(shelves) }
    }

    /// The BMC of these settings. Nothing is sent.
    pub fn ipmi(&self, settings: &Settings) -> Arc<dyn Bmc> {
        let mut shelves = self.lock();
        if shelves.swept.elapsed() >= SWEEP_EVERY {
            shelves.evict_idle();
        }
        let shelf = shelves.ipmi.entry(settings.endpoint()).or_default();
        if let Some(known) = shelf.iter().find(|bmc| bmc.settings() == settings) {
            return known.clone();
        }
        let bmc = Arc::new(IpmiBmc::new(settings.clone(), self.limits));
        shelf.push(bmc.clone());
        bmc
    }

    /// The pretended BMC of that name; it lives as long as the registry. One that is new begins with this power.
    pub fn fake(&self, name: &str, power: PowerState) -> Arc<FakeBmc> {
        let mut shelves = self.lock();
        if let Some(known) = shelves.fake.get(name) {
            return known.clone();
        }
        let bmc = Arc::new(FakeBmc::new(power));
        shelves.fake.insert(name.to_owned(), bmc.clone());
        bmc
    }

    /// Forgets a pretended BMC, when its node is gone.
    pub fn forget_fake(&self, name: &str) {
        self.lock().fake.remove(name);
    }

    /// Sessions that are to stay open are used at least this often.
    pub fn session_use(&self) -> Duration {
        self.limits.keep * 4 / 5
    }

    /// Closes sessions that were not used for [`Limits::keep`] and drops BMCs that nobody holds any more. It looks at all of them, so
    /// it does nothing where that was done a moment ago.
    pub fn evict_idle(&self) {
        let mut shelves = self.lock();
        if shelves.swept.elapsed() >= SWEEP_EVERY.min(self.limits.keep) {
            shelves.evict_idle();
        }
    }

    /// Number of IPMI BMCs on the shelf.
    pub fn len(&self) -> usize {
        self.lock().ipmi.values().map(Vec::len).sum()
    }

    /// Is the shelf empty?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shelves> {
        // A panic elsewhere leaves the maps whole: every change is one insertion or removal.
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Shelves {
    fn evict_idle(&mut self) {
        self.swept = Instant::now();
        self.ipmi.retain(|_, shelf| {
            shelf.retain(|bmc| !bmc.close_idle() || Arc::strong_count(bmc) > 1);
            !shelf.is_empty()
        });
    }
}
