//! The story, played with today's unmodified client: a machine is enrolled by its BMC's address, validated, cleaned, given an operating
//! system over the network, visited by `ssh`, and taken back.
//!
//! [`prepare`] runs outside of the rack's namespaces (it downloads), [`play`] inside. End-to-end tests reuse [`Story`]'s steps.

mod client;
mod phases;
mod ramdisk;
mod screen;
mod server;
mod story;
mod timeline;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use client::Client;
pub use screen::{Screen, Step};
pub use server::Server;
pub use story::{CRASHES, ImageSource, Key, Moment, Story};
pub use timeline::{Span, overhead, render};

use crate::error::{Error, Result};
use crate::image::{self, Format, Kind};
use crate::qemu::Firmware;
use crate::rack::{NodeConfig, Rack, RackConfig};
use tokio::sync::Mutex;

/// What to play.
#[derive(Debug, Clone)]
pub struct Options {
    /// The image to deploy.
    pub image: Kind,
    /// The machine's firmware.
    pub firmware: Firmware,
    /// The server's binary; the agent is beside it.
    pub billet: PathBuf,
    /// Kill the server in the middle of the work, again and again.
    pub crash: bool,
    /// Boot a partition image over the network even where it brings a boot loader.
    pub netboot: bool,
}

/// What the story needs and downloads: client and image, both cached.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The client's virtual environment.
    pub client: PathBuf,
    /// The image file.
    pub image: PathBuf,
    /// The directory with the ramdisk.
    pub ramdisk: PathBuf,
}

/// Installs the client and builds the image, or finds both in the cache. Blocking; outside of namespaces.
///
/// # Errors
/// [`Error::Missing`] for tools, [`Error::Command`] when pip or a build step fails.
pub fn prepare(options: &Options, screen: &Screen) -> Result<Prepared> {
    if !options.billet.exists() {
        let what = format!("the server {}", options.billet.display());
        return Err(Error::Invalid(format!(
            "{what} is not built: cargo build --release, or name it with --billet"
        )));
    }
    let step = screen.step("Install the openstack client (PyPI, in a virtual environment)");
    let client = client::install()?;
    step.done("");
    let step = screen.step(&format!("Build the {} image from Debian packages", options.image.name()));
    let image = image::build(options.image, Format::Raw, &mut |text| step.progress(text))?;
    step.done(&image.display().to_string());
    let step = screen.step("Build the ramdisk that cleans and deploys (billet ramdisk build)");
    let ramdisk = ramdisk::build(&options.billet)?;
    step.done(&ramdisk.display().to_string());
    Ok(Prepared { client, image, ramdisk })
}

/// What [`prepare`] left in the cache.
///
/// # Errors
/// [`Error::Invalid`] when it is not there: [`prepare`] has to run before.
pub fn prepared(options: &Options) -> Result<Prepared> {
    let (client, image, ramdisk) =
        (client::find()?, image::find(options.image)?, ramdisk::find(&options.billet)?);
    match (client, image, ramdisk) {
        (Some(client), Some(image), Some(ramdisk)) => Ok(Prepared { client, image, ramdisk }),
        _ => Err(Error::Invalid(
            "the client, the image or the ramdisk is not in the cache; run `billet-lab demo --prepare` first"
                .into(),
        )),
    }
}

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

        let step = screen.step("Start billet serve, without any configuration");
        let server =
            Server::start(&options.billet, &rack.info().state_dir.join("billet"), &prepared.ramdisk).await?;
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

/// How long things may take under software emulation on a busy machine, at three times what was measured.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A cleaning or a deployment.
    pub provision: Duration,
    /// From the end of the deployment to `ssh`, and the same for user data.
    pub boot: Duration,
}

impl Limits {
    /// The limits for an image.
    #[must_use]
    pub fn of(image: Kind) -> Self {
        match image.is_debian() {
            false => Self { provision: Duration::from_secs(300), boot: Duration::from_secs(150) },
            true => Self { provision: Duration::from_secs(420), boot: Duration::from_secs(480) },
        }
    }
}
