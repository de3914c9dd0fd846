//! Network namespaces, each held by a thread: gone, with their interfaces, when the thread ends.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use netboot::{BootSource, Config, LeaseStore, Netboot, Network, ProgramNames, Programs, Segment};
use nix::sched::{CloneFlags, unshare};
use tokio_util::sync::CancellationToken;

type Job = Box<dyn FnOnce() + Send>;

/// A network namespace to run things in.
pub struct Place {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    id: i32,
}

impl Place {
    pub fn new() -> Self {
        assert!(
            nix::unistd::geteuid().is_root(),
            "this test makes network namespaces and needs root: run it as root, or deselect it with -E 'not test(netns)'"
        );
        let (jobs, queue) = channel::<Job>();
        let (tell, told) = channel();
        let thread = std::thread::spawn(move || {
            tell.send(unshare(CloneFlags::CLONE_NEWNET).map(|()| nix::unistd::gettid().as_raw())).unwrap();
            while let Ok(job) = queue.recv() {
                job();
            }
        });
        let id = told.recv().unwrap().expect("a network namespace could not be made");
        let place = Self { jobs: Some(jobs), thread: Some(thread), id };
        place.command("ip link set lo up");
        place
    }

    /// Runs something there and waits for it.
    pub fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (tell, told) = channel();
        let jobs = self.jobs.as_ref().unwrap();
        jobs.send(Box::new(move || drop(tell.send(job())))).unwrap();
        told.recv().expect("what ran in the namespace panicked; see above")
    }

    /// Runs something there and does not wait; nothing else runs there until it ends.
    fn start(&self, job: impl FnOnce() + Send + 'static) {
        self.jobs.as_ref().unwrap().send(Box::new(job)).unwrap();
    }

    /// Runs a command there that must succeed.
    pub fn command(&self, line: &str) -> String {
        let output = self.output(line);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{line}: {output:?}");
        text
    }

    /// Runs a command there.
    pub fn output(&self, line: &str) -> Output {
        let line = line.to_owned();
        self.run(move || {
            let mut words = line.split_whitespace();
            let program = words.next().unwrap();
            Command::new(program)
                .args(words)
                .output()
                .unwrap_or_else(|error| panic!("{program} can't be run (installed?): {error}"))
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// A server and a client with a cable between them: `srv0` with 10.99.0.1/24, and `cli0` without an address.
pub struct Cable {
    pub server: Place,
    pub client: Place,
}

impl Cable {
    pub fn new() -> Self {
        let (server, client) = (Place::new(), Place::new());
        server.command("ip link add srv0 type veth peer name cli0");
        server.command(&format!("ip link set cli0 netns {}", client.id));
        for (place, interface) in [(&server, "srv0"), (&client, "cli0")] {
            // Link-local addresses are usable at once, without the second that looking for duplicates takes.
            let file = format!("/proc/sys/net/ipv6/conf/{interface}/accept_dad");
            place.run(move || std::fs::write(&file, "0").unwrap_or_else(|error| panic!("{file}: {error}")));
        }
        server.command("ip address add 10.99.0.1/24 dev srv0");
        server.command("ip link set srv0 up");
        client.command("ip link set cli0 up");
        Self { server, client }
    }
}

/// Netboot, running in a place. Stops when dropped.
pub struct Running {
    stop: CancellationToken,
}

impl Running {
    /// Serves on these interfaces, HTTP on port 6385.
    pub fn start(
        place: &Place,
        interface: &'static str,
        networks: Vec<Network>,
        programs: &Path,
        source: Arc<dyn BootSource>,
        leases: Arc<dyn LeaseStore>,
    ) -> Self {
        Self::start_as(place, interface, programs, source, leases, move |config| config.networks = networks)
    }

    /// The same with another configuration.
    pub fn start_as(
        place: &Place,
        interface: &'static str,
        programs: &Path,
        source: Arc<dyn BootSource>,
        leases: Arc<dyn LeaseStore>,
        change: impl FnOnce(&mut Config) + Send + 'static,
    ) -> Self {
        let names = ProgramNames { directory: programs.into(), ..ProgramNames::default() };
        let programs = Programs::load(names).unwrap();
        let stop = CancellationToken::new();
        let inner = stop.clone();
        let (tell, told) = channel();
        place.start(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let mut config = Config::new(Segment::named([interface]).unwrap(), 6385, programs);
                change(&mut config);
                let netboot = Netboot::bind(config, source, leases).await.unwrap();
                let listener = tokio::net::TcpListener::bind("0.0.0.0:6385").await.unwrap();
                let app = netboot.router().into_make_service_with_connect_info::<SocketAddr>();
                tokio::spawn(async move { axum::serve(listener, app).await });
                tell.send(()).unwrap();
                netboot.run(inner).await;
            });
        });
        told.recv().expect("netboot did not start; see above");
        Self { stop }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A directory with boot programs of some size, made of a pattern that shows blocks out of order.
pub fn programs(size: usize) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..size).map(|n| (n / 251) as u8 ^ (n % 253) as u8).collect();
    for name in ["undionly.kpxe", "snponly.efi"] {
        std::fs::write(dir.path().join(name), &bytes).unwrap();
    }
    dir
}
