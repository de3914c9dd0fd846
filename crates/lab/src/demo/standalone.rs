//! Ironic's API alone: one machine, `openstack baremetal` without authentication, an image by its URL. With `--crash` the server is killed
//! in the middle of the work, again and again.

use std::path::Path;

use tokio::sync::Mutex;

use super::client::Client;
use super::server::Server;
use super::ssh::Key;
use super::story::{ImageSource, Story};
use super::timeline::{overhead, render};
use super::watch::CRASHES;
use super::{Options, Prepared, Screen};
use crate::error::{Error, Result};
use crate::rack::{NodeConfig, Rack, RackConfig};

/// How the server is started: it believes everybody.
const OPEN: &[&str] = &["--auth", "none"];

/// A rack, a server and a client, ready for the story.
pub struct Stage {
    /// The rack with one machine.
    pub rack: Rack,
    /// The server.
    pub server: Mutex<Server>,
    /// The client.
    pub client: Client,
    /// The image on the rack's image server.
    pub image: ImageSource,
    /// The tenant's key.
    pub key: Key,
}

impl Stage {
    /// Brings everything up. Inside of namespaces.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn set(options: &Options, prepared: &Prepared, screen: &Screen) -> Result<Self> {
        let step = screen.step("Bring the rack up: one machine, its BMC, a bridge, an image server");
        let node = NodeConfig::new(options.firmware);
        let memory_mib = if options.image.is_debian() { 1024 } else { node.memory_mib };
        let rack = Rack::start(RackConfig {
            nodes: vec![NodeConfig { memory_mib, ..node }],
            ..RackConfig::default()
        })
        .await?;
        let image = ImageSource::serve(&rack, options.image, &prepared.image).await?;
        step.done(&format!("BMC {}", rack.nodes()[0].info.bmc_address));

        let step = screen.step("Start billet serve --auth none");
        let server =
            Server::start(&options.billet, &rack.info().state_dir.join("billet"), &prepared.ramdisk, OPEN)
                .await?;
        step.done(&server.endpoint());
        let client = Client::new(&prepared.client, &server.endpoint());
        let key = Key::make(&rack.info().state_dir)?;
        Ok(Self { rack, server: Mutex::new(server), client, image, key })
    }

    /// The story on this stage's first machine.
    #[must_use]
    pub fn story<'a>(&'a self, screen: &'a Screen) -> Story<'a> {
        Story::new(&self.client, &self.rack.nodes()[0], &self.image, &self.key, screen, &self.server)
    }

    /// Stops the server, then the rack.
    pub async fn strike(self) {
        self.server.into_inner().stop().await;
        self.rack.stop().await;
    }
}

/// Plays the whole story once and prints the timeline. With `keep`, says how to go on and waits until `stop` is done.
///
/// # Errors
/// The first step's that failed; everything has been taken down by then.
pub async fn play(
    options: &Options,
    prepared: &Prepared,
    screen: &Screen,
    keep: Option<impl Future<Output = ()>>,
) -> Result<()> {
    let stage = Stage::set(options, prepared, screen).await?;
    let mut story = stage.story(screen);
    if options.crash {
        story.crash_at(CRASHES);
    }
    if options.netboot {
        story.ask_for_netboot();
    }
    let mut outcome = story.play(keep.is_some()).await;
    if outcome.is_ok() && !story.crashes_to_come().is_empty() {
        let missed = format!("the server was not killed in {:?}", story.crashes_to_come());
        outcome = Err(Error::Invalid(missed));
    }
    let spans = story.spans().await;
    screen.text(&render(&spans));
    if let Some(text) = overhead(&spans) {
        screen.text(&text);
    }
    drop(story);
    if let Err(error) = &outcome {
        let server = stage.server.lock().await;
        screen.text(&format!(
            "The server's last words ({}):\n{}",
            server.log().display(),
            server.last_words()
        ));
        screen.text(&format!("The machine's:\n{}", stage.rack.nodes()[0].machine.console().tail().await));
        tracing::debug!(%error, "the story ended early");
    } else if let Some(stop) = keep {
        screen.text(&how_to_go_on(&stage, &prepared.client).await);
        stop.await;
    }
    stage.strike().await;
    outcome
}

async fn how_to_go_on(stage: &Stage, client: &Path) -> String {
    let server = stage.server.lock().await;
    let info = stage.rack.info();
    let node = &info.nodes[0];
    let lab = std::env::current_exe().unwrap_or_else(|_| "billet-lab".into());
    let exec = format!("{} exec --rack {} --", lab.display(), info.pid);
    let openstack = client.join("bin/openstack");
    let (key, user, address) = (stage.key.path().display(), stage.image.user, node.address);
    format!(
        "It all keeps running. In another terminal:\n\
         \x20 {exec} {} --os-auth-type none --os-endpoint {} baremetal node list\n\
         \x20 {exec} ssh -i {key} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null {user}@{address}\n\
         \x20 {exec} ipmitool -I lanplus -H {} -U {} -P {} chassis status\n\
         \x20 tail -f {}\n\
         \x20 tail -f {}\n\
         Ctrl-C takes it down.",
        openstack.display(),
        server.endpoint(),
        node.bmc_address,
        node.bmc_user,
        node.bmc_password,
        node.console_log.display(),
        server.log().display(),
    )
}
