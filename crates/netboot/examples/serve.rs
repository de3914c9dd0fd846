//! Boots every machine whose Ethernet address is given, by hand: for trying firmware, and for finding out why a machine
//! does not boot.
//!
//! ```text
//! serve INTERFACE KERNEL INITRAMFS CMDLINE MAC[=disk]...
//! ```
//!
//! Prints what it sees, with seconds since the start. Needs root.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use netboot::{
    Artifact, Boot, BootSource, Config, Mac, Machine, MemoryLeases, Netboot, Observation, Pending,
    ProgramNames, Programs, Segment, Unavailable,
};
use tokio_util::sync::CancellationToken;

const HTTP_PORT: u16 = 6385;

struct Given {
    started: Instant,
    machines: HashMap<Mac, Machine>,
}

impl BootSource for Given {
    fn boot(&self, mac: Mac) -> Pending<'_, Result<Option<Machine>, Unavailable>> {
        Box::pin(async move { Ok(self.machines.get(&mac).cloned()) })
    }

    fn observe(&self, seen: Observation) {
        println!("{:9.3} {seen}", self.started.elapsed().as_secs_f64());
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let given: Vec<String> = std::env::args().skip(1).collect();
    let [interface, kernel, initramfs, cmdline, macs @ ..] = given.as_slice() else {
        return Err("usage: serve INTERFACE KERNEL INITRAMFS CMDLINE MAC[=disk]...".into());
    };
    let ramdisk = Boot::Ramdisk {
        kernel: Artifact::File(kernel.into()),
        initramfs: Artifact::File(initramfs.into()),
        cmdline: cmdline.clone(),
    };
    let mut machines = HashMap::new();
    for (number, text) in macs.iter().enumerate() {
        let (mac, boot) = match text.strip_suffix("=disk") {
            Some(mac) => (mac, Boot::LocalDisk),
            None => (text.as_str(), ramdisk.clone()),
        };
        let node = uuid::Uuid::from_u128(number as u128 + 1);
        machines.insert(
            mac.parse()?,
            Machine { node, hostname: Some(format!("node-{number}")), lease: netboot::Lease::Pool, boot },
        );
    }
    let source = Arc::new(Given { started: Instant::now(), machines });
    let segments = Segment::named([interface.as_str()])?;
    let config = Config::new(segments, HTTP_PORT, Programs::load(ProgramNames::default())?);
    let netboot = Netboot::bind(config, source, Arc::new(MemoryLeases::default())).await?;
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, HTTP_PORT)).await?;
    let app = netboot.router().into_make_service_with_connect_info::<SocketAddr>();
    let stop = CancellationToken::new();
    let serve = axum::serve(listener, app).with_graceful_shutdown(stop.clone().cancelled_owned());
    println!("serving on {interface}");
    tokio::select! {
        () = netboot.run(stop.clone()) => {}
        done = async { serve.await } => done?,
        done = tokio::signal::ctrl_c() => done?,
    }
    stop.cancel();
    Ok(())
}
