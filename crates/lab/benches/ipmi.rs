//! Power status over a kept session, client and simulator on loopback (criterion). The target is below one millisecond beside the
//! network; the pause between commands is set to zero, as it is no part of a command.

use bmc::ipmi::{IpmiBmc, Limits, Settings};
use bmc::{Bmc, PowerState};
use criterion::{Criterion, criterion_group, criterion_main};
use lab::chassis::{BootFlags, Chassis, ChassisFuture, Control};
use lab::ipmi_sim::{IpmiSim, administrator};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

struct AlwaysOn(watch::Sender<u64>);

impl Chassis for AlwaysOn {
    fn is_on(&self) -> ChassisFuture<'_, Result<bool, String>> {
        Box::pin(async { Ok(true) })
    }
    fn control(&self, _: Control, _: BootFlags) -> ChassisFuture<'_, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }
    fn boot_flags_changed(&self, _: BootFlags) -> ChassisFuture<'_, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }
    fn boots(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}

fn power_status(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let chassis = Arc::new(AlwaysOn(watch::channel(0).0));
    let address = ([127, 0, 0, 1], 0).into();
    let sim = IpmiSim::bind(address, administrator("admin", "calvin"), chassis).expect("a port on loopback");
    let server = sim.clone();
    runtime.spawn(async move { server.run(CancellationToken::new()).await });
    for suite in [3, 17] {
        let info = serde_json::json!({
            "ipmi_address": "127.0.0.1", "ipmi_port": sim.local_addr().port(), "ipmi_username": "admin",
            "ipmi_password": "calvin", "ipmi_cipher_suite": suite,
        });
        let settings = Settings::parse(info.as_object().expect("an object")).expect("good settings");
        let limits = Limits { pause: Duration::ZERO, ..Limits::default() };
        let bmc = IpmiBmc::new(settings.clone(), limits);
        c.bench_function(&format!("power status, kept session, suite {suite}"), |b| {
            b.to_async(&runtime)
                .iter(|| async { assert_eq!(black_box(bmc.power_state().await), Ok(PowerState::On)) });
        });
        c.bench_function(&format!("login and power status, suite {suite}"), |b| {
            b.to_async(&runtime).iter(|| async {
                let fresh = IpmiBmc::new(settings.clone(), limits);
                assert_eq!(black_box(fresh.power_state().await), Ok(PowerState::On));
            });
        });
    }
}

criterion_group!(benches, power_status);
criterion_main!(benches);
