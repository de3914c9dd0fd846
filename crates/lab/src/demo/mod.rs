//! What `make demo` plays: the walk-through from a fresh start to `ssh` and back, with the clients of 2017 and with today's ([`walk`]); or,
//! standalone, the same machine's life by Ironic's API alone ([`standalone`]).
//!
//! [`prepare`] runs outside of the rack's namespaces (it downloads), [`play`] inside.

mod client;
mod phases;
mod ramdisk;
mod screen;
mod server;
mod ssh;
pub mod standalone;
mod story;
mod table;
mod terminal;
mod timeline;
pub mod walk;
mod watch;

use std::path::PathBuf;
use std::time::Duration;

pub use client::Client;
pub use screen::{Screen, Step};
pub use server::Server;
pub use ssh::{Key, Login};
pub use story::{ImageSource, Story};
pub use timeline::{Span, overhead, render};
pub use watch::{Api, CRASHES, Moment, Watch};

use crate::error::{Error, Result};
use crate::image::{self, Format, Kind};
use crate::qemu::Firmware;

/// Which tale is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tale {
    /// The walk-through.
    Walk {
        /// With 2017's clients, on a machine that boots by BIOS, with a tiny partition image.
        of_2017: bool,
        /// With today's, with an image of the whole disk.
        today: bool,
    },
    /// Ironic's API alone.
    Standalone,
}

impl Tale {
    fn is_of_2017(self) -> bool {
        matches!(self, Self::Walk { of_2017: true, .. })
    }
}

/// What to play.
#[derive(Debug, Clone)]
pub struct Options {
    /// The tale.
    pub tale: Tale,
    /// The image of a whole disk to deploy.
    pub image: Kind,
    /// The firmware of the machine that gets it.
    pub firmware: Firmware,
    /// The server's binary; the agent is beside it.
    pub billet: PathBuf,
    /// Kill the server in the middle of the work, again and again.
    pub crash: bool,
    /// Boot a partition image over the network even where it brings a boot loader.
    pub netboot: bool,
}

/// What a tale needs and downloads, all of it cached.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Virtual environment of today's clients.
    pub client: PathBuf,
    /// That of 2017's, for a walk.
    pub client_of_2017: Option<PathBuf>,
    /// The partition image, for the walk of 2017.
    pub partition_image: Option<walk::PartitionImage>,
    /// The image file.
    pub image: PathBuf,
    /// The directory with the ramdisk.
    pub ramdisk: PathBuf,
}

/// Installs the clients and builds the images, or finds them in the cache. Blocking; outside of namespaces.
///
/// # Errors
/// [`Error::Missing`] for tools, [`Error::Command`] when pip or a build step fails.
pub fn prepare(options: &Options, screen: &Screen) -> Result<()> {
    if !options.billet.exists() {
        let what = format!("the server {}", options.billet.display());
        return Err(Error::Invalid(format!(
            "{what} is not built: cargo build --release, or name it with --billet"
        )));
    }
    let step = screen.step("Install the openstack client (PyPI, in a virtual environment)");
    client::install(client::TODAY)?;
    step.done("");
    if options.tale != Tale::Standalone {
        let step = screen.step("Install the clients of 2017: ironic, neutron");
        client::install(client::OF_2017)?;
        step.done("");
    }
    if options.tale.is_of_2017() {
        let step = screen.step("Build the tiny partition image, with kernel and ramdisk beside it");
        let image = walk::PartitionImage::build(&mut |text| step.progress(text))?;
        step.done(&image.root.display().to_string());
    }
    let step = screen.step(&format!("Build the {} image from Debian packages", options.image.name()));
    let image = image::build(options.image, Format::Raw, &mut |text| step.progress(text))?;
    step.done(&image.display().to_string());
    let step = screen.step("Build the ramdisk that cleans and deploys (billet ramdisk build)");
    let ramdisk = ramdisk::build(&options.billet)?;
    step.done(&ramdisk.display().to_string());
    Ok(())
}

/// What [`prepare`] left in the cache.
///
/// # Errors
/// [`Error::Invalid`] when it is not there: [`prepare`] has to run before.
pub fn prepared(options: &Options) -> Result<Prepared> {
    let found = || -> Result<Option<Prepared>> {
        let (client, image, ramdisk) =
            (client::find(client::TODAY)?, image::find(options.image)?, ramdisk::find(&options.billet)?);
        let client_of_2017 = client::find(client::OF_2017)?;
        let partition_image = walk::PartitionImage::find()?;
        let is_missing = (options.tale != Tale::Standalone && client_of_2017.is_none())
            || (options.tale.is_of_2017() && partition_image.is_none());
        Ok(match (client, image, ramdisk) {
            (Some(client), Some(image), Some(ramdisk)) if !is_missing => {
                Some(Prepared { client, client_of_2017, partition_image, image, ramdisk })
            }
            _ => None,
        })
    };
    found()?.ok_or_else(|| {
        Error::Invalid(
            "a client, an image or the ramdisk is not in the cache; run `billet-lab demo --prepare` first"
                .into(),
        )
    })
}

/// Plays the tale once and prints the timeline. With `keep`, says how to go on and waits until `stop` is done.
///
/// # Errors
/// The first step's that failed; everything has been taken down by then.
pub async fn play(
    options: &Options,
    prepared: &Prepared,
    screen: &Screen,
    keep: Option<impl Future<Output = ()>>,
) -> Result<()> {
    match options.tale {
        Tale::Standalone => standalone::play(options, prepared, screen, keep).await,
        Tale::Walk { of_2017, today } => {
            walk::play(options, walk::Parts { of_2017, today }, prepared, screen, keep).await
        }
    }
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
