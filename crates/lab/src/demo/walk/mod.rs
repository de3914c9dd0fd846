//! The walk-through: someone who has only `openrc`, an image and a machine in a rack types commands until `ssh` answers, and gives the
//! machine back.
//!
//! `of_2017.rs` is the walk of 2017, its commands typed literally with the clients of that year; `today.rs` is the same with today's. Each
//! step says what it does, types its lines, and looks at what they print.

mod inside;
mod of_2017;
mod stage;
mod today;

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

pub use stage::{Parts, play};

use super::phases;
use super::screen::{Screen, Step};
use super::server::Server;
use super::ssh::Login;
use super::terminal::{Clients, Terminal};
use super::timeline::Span;
use super::watch::{Api, Watch};
use super::{Limits, table};
use crate::error::{Error, Result};
use crate::image::{self, Kind};

/// For lines that only talk to the API.
const CALL_LIMIT: Duration = Duration::from_secs(120);
/// The network's name, as in 2017.
const NETWORK: &str = "sharednet1";
/// What the wire is called in the network service.
const PHYSICAL_NETWORK: &str = "physnet1";
/// Addresses that servers get. Those of the rack's machines (`NodeInfo::address`) are below.
const POOL: (&str, &str) = ("10.77.0.100", "10.77.0.149");
/// The server's name, and thereby its host name.
const SERVER: &str = "lodger";
/// The ramdisk talks on the serial console; without the second word one kernel in a hundred panics under emulation.
const KERNEL_PARAMETERS: &str = "'kernel_append_params=%default% console=ttyS0 no_timer_check'";

/// A partition image as disk-image-builder makes them: a file system, and beside it what boots it.
#[derive(Debug, Clone)]
pub struct PartitionImage {
    /// The kernel.
    pub kernel: PathBuf,
    /// The initial ramdisk.
    pub ramdisk: PathBuf,
    /// The file system.
    pub root: PathBuf,
    /// The user that gets the key.
    pub user: &'static str,
}

impl PartitionImage {
    /// The tiny one, built if it is not in the cache. Blocking; outside of namespaces.
    ///
    /// # Errors
    /// As [`image::build`].
    pub(super) fn build(progress: &mut dyn FnMut(&str)) -> Result<Self> {
        Ok(Self::of(image::build(Kind::TinyPartition, image::Format::Raw, progress)?))
    }

    /// The tiny one, if it is in the cache.
    ///
    /// # Errors
    /// As [`image::find`].
    pub(super) fn find() -> Result<Option<Self>> {
        Ok(image::find(Kind::TinyPartition)?.map(Self::of))
    }

    fn of(root: PathBuf) -> Self {
        let files = image::BootFiles::beside(&root);
        Self { kernel: files.kernel, ramdisk: files.ramdisk, root, user: Kind::TinyPartition.user() }
    }
}

/// The image that today's walk deploys.
#[derive(Debug, Clone)]
pub struct UserImage {
    /// Which one.
    pub kind: Kind,
    /// Its file.
    pub path: PathBuf,
}

/// The walk of one terminal.
pub struct Walk<'a> {
    /// Where the lines are typed.
    pub terminal: Terminal,
    /// Where they are shown.
    pub screen: &'a Screen,
    /// Directory with the ramdisk.
    pub ramdisk: PathBuf,
    server: &'a Mutex<Server>,
    spans: Vec<Span>,
    watch: Option<Watch<'a>>,
    token: Option<String>,
    /// Of the last server that was made.
    address: Option<Ipv4Addr>,
}

impl<'a> Walk<'a> {
    /// A walk that has not begun.
    #[must_use]
    pub fn new(terminal: Terminal, screen: &'a Screen, server: &'a Mutex<Server>, ramdisk: PathBuf) -> Self {
        Self { terminal, screen, ramdisk, server, spans: Vec::new(), watch: None, token: None, address: None }
    }

    /// Where the last server answers.
    #[must_use]
    pub fn server_address(&self) -> Option<Ipv4Addr> {
        self.address
    }

    /// Where the seconds went: this side's steps, and what the server's own events say of the node.
    pub async fn spans(&self) -> Vec<Span> {
        let mut spans = self.spans.clone();
        if let Some(watch) = &self.watch {
            match watch.api().get(&format!("/billet/v1/nodes/{}/events", watch.node())).await {
                Ok(document) => spans.extend(phases::spans(&document, self.screen.started_at())),
                Err(error) => tracing::debug!(%error, "no timeline from the server"),
            }
        }
        spans
    }

    /// What the first start left behind, and `. openrc`.
    ///
    /// # Errors
    /// [`Error::Invalid`] where a file is not there or others may read it; those of a line.
    pub async fn begin_as_admin(&mut self) -> Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let step = self.step(
            "The first start has made users, projects, a catalog and the files with the admin's password",
        );
        let (state, ready_in) = {
            let server = self.server.lock().await;
            (server.state_dir().to_path_buf(), server.ready_in())
        };
        for name in ["openrc", "clouds.yaml"] {
            let path = state.join(name);
            let metadata = std::fs::metadata(&path).map_err(Error::io("looking at", &path))?;
            let mode = metadata.permissions().mode() & 0o777;
            if mode != 0o600 {
                return Err(Error::Invalid(format!("{} has mode {mode:o} and not 600", path.display())));
            }
            self.terminal.put(&path, name)?;
        }
        step.0.shows("$ ", ". ./openrc");
        self.terminal.profile(". ./openrc");
        self.end(step, "first start", &format!("ready after {:.2} s", ready_in.as_secs_f64()));
        let token =
            self.terminal.run(Clients::Today, "openstack token issue -f value -c id", CALL_LIMIT).await?;
        self.token = Some(token.trim().to_string());
        Ok(())
    }

    /// From now on this node is looked at while others wait for it.
    async fn watch(&mut self, node: &str) {
        let endpoint = self.server.lock().await.endpoint();
        self.watch = Some(Watch::new(Api::new(&endpoint, self.token.clone()), node, self.server));
    }

    fn step(&self, title: &str) -> (Step, Instant) {
        (self.screen.step(title), Instant::now())
    }

    fn end(&mut self, (step, began): (Step, Instant), name: &str, detail: &str) {
        let origin = self.screen.started();
        let seconds = |at: Instant| at.duration_since(origin).as_secs_f64();
        self.spans.push(Span { name: name.into(), start: seconds(began), end: seconds(Instant::now()) });
        step.done(detail);
    }

    /// Types a line, shows what it prints, and returns that.
    async fn types(&self, (step, _): &(Step, Instant), line: &str) -> Result<String> {
        self.types_with(Clients::Today, step, line, CALL_LIMIT).await
    }

    async fn types_with(&self, clients: Clients, step: &Step, line: &str, limit: Duration) -> Result<String> {
        step.shows("$ ", line);
        let run = self.terminal.run(clients, line, limit);
        let said = match &self.watch {
            Some(watch) => watch.during(step, run).await?,
            None => run.await?,
        };
        step.shows("", &said);
        Ok(said)
    }

    /// Waits for the node that is watched.
    async fn node_becomes(
        &mut self,
        (step, _): &(Step, Instant),
        target: &str,
        limits: Limits,
    ) -> Result<()> {
        match &mut self.watch {
            Some(watch) => watch.until(step, target, limits.provision).await,
            None => Err(Error::Invalid(format!("no node is watched that could become {target}"))),
        }
    }
}

/// The value of a field in a table; what the line should have printed, if it did not.
fn field<'t>(said: &'t str, name: &str) -> Result<&'t str> {
    table::value(said, name).filter(|value| !value.is_empty()).ok_or_else(|| {
        Error::Invalid(format!("the client should have shown a field `{name}`, but printed:\n{said}"))
    })
}

/// All of these must stand in a list's column.
fn lists(said: &str, column: &str, wanted: &[&str]) -> Result<()> {
    let found = table::column(said, column);
    match wanted.iter().find(|name| !found.contains(name)) {
        Some(name) => Err(Error::Invalid(format!("`{name}` is not in the column {column}, but {found:?}"))),
        None => Ok(()),
    }
}

/// `value` must be what was expected.
fn is(what: &str, value: &str, wanted: &str) -> Result<()> {
    if value == wanted {
        return Ok(());
    }
    Err(Error::Invalid(format!("{what} should be {wanted} and is {value}")))
}

/// The first IPv4 address in a server's `addresses`, whichever way a client writes them: `net=10.0.0.5`, `{'net': ['10.0.0.5']}`.
fn address(addresses: &str) -> Result<Ipv4Addr> {
    let is_outside = |letter: char| !letter.is_ascii_digit() && letter != '.';
    addresses.split(is_outside).find_map(|word| word.parse().ok()).ok_or_else(|| {
        Error::Invalid(format!("a server's addresses should have one of IPv4, not {addresses:?}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_from_both_clients() {
        let wanted = Ipv4Addr::new(10, 77, 0, 104);
        assert_eq!(address("sharednet1=10.77.0.104").unwrap(), wanted);
        assert_eq!(address("{'sharednet1': ['fd00::1', '10.77.0.104']}").unwrap(), wanted);
        assert!(address("").is_err());
    }

    #[test]
    fn what_is_missing_is_named() {
        let said = "| ID | Name |\n| 1 | admin |\n";
        assert!(lists(said, "Name", &["admin"]).is_ok());
        assert!(lists(said, "Name", &["admin", "demo"]).unwrap_err().to_string().contains("`demo`"));
        assert!(field(said, "id").unwrap_err().to_string().contains("`id`"));
        assert!(is("power", "off", "on").is_err());
    }
}
