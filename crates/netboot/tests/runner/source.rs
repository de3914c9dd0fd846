//! A boot source that knows what it is told and remembers what it hears.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use netboot::{Artifact, Boot, BootSource, Lease, Mac, Machine, Observation, Pending, Seen, Unavailable};
use uuid::Uuid;

pub const MAC: Mac = Mac::new([0x52, 0x54, 0, 0x99, 0, 1]);
pub const OTHER: Mac = Mac::new([0x52, 0x54, 0, 0x99, 0, 2]);

#[derive(Default)]
pub struct Known {
    machines: Mutex<HashMap<Mac, Machine>>,
    seen: Mutex<Vec<Observation>>,
    news: Condvar,
    lookups: Mutex<u64>,
}

impl Known {
    pub fn new(machines: impl IntoIterator<Item = (Mac, Boot)>) -> Arc<Self> {
        let known = Self::default();
        for (mac, boot) in machines {
            known.set(mac, boot);
        }
        Arc::new(known)
    }

    /// The machine boots this from now on. Its node is made from its Ethernet address.
    pub fn set(&self, mac: Mac, boot: Boot) {
        let mut bytes = [0; 16];
        bytes[10..].copy_from_slice(&mac.octets());
        let machine = Machine {
            node: Uuid::from_bytes(bytes),
            hostname: Some("node-1".into()),
            lease: Lease::Pool,
            boot,
        };
        self.machines.lock().unwrap().insert(mac, machine);
    }

    /// It gets its address so from now on.
    pub fn set_lease(&self, mac: Mac, lease: Lease) {
        self.machines.lock().unwrap().get_mut(&mac).unwrap().lease = lease;
    }

    pub fn lookups(&self) -> u64 {
        *self.lookups.lock().unwrap()
    }

    pub fn seen(&self) -> Vec<Observation> {
        self.seen.lock().unwrap().clone()
    }

    /// Waits until something that fits was seen.
    pub fn wait(&self, limit: Duration, fits: impl Fn(&Seen) -> bool) -> Observation {
        let deadline = Instant::now() + limit;
        let mut seen = self.seen.lock().unwrap();
        loop {
            if let Some(found) = seen.iter().find(|o| fits(&o.seen)) {
                return found.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "not seen within {limit:?}; seen was: {seen:#?}");
            seen = self.news.wait_timeout(seen, left).unwrap().0;
        }
    }
}

impl BootSource for Known {
    fn boot(&self, mac: Mac) -> Pending<'_, Result<Option<Machine>, Unavailable>> {
        *self.lookups.lock().unwrap() += 1;
        let machine = self.machines.lock().unwrap().get(&mac).cloned();
        Box::pin(async move { Ok(machine) })
    }

    fn observe(&self, seen: Observation) {
        self.seen.lock().unwrap().push(seen);
        self.news.notify_all();
    }
}

pub fn ramdisk(kernel: &std::path::Path, initramfs: &std::path::Path) -> Boot {
    Boot::Ramdisk {
        kernel: Artifact::File(kernel.into()),
        initramfs: Artifact::File(initramfs.into()),
        cmdline: "quiet".into(),
    }
}
