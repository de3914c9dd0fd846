//! Sets the walk's stage: a rack with a machine for each part, one server, one terminal.

use std::path::Path;

use tokio::sync::Mutex;

use super::{UserImage, Walk};
use crate::demo::server::Server;
use crate::demo::terminal::Terminal;
use crate::demo::{Key, Options, Prepared, Screen, render};
use crate::error::{Error, Result};
use crate::qemu::Firmware;
use crate::rack::{NodeConfig, Rack, RackConfig};

/// The host of the walk has no such address of its own.
const CONFIGURATION: &str = "[netboot]\nmetadata = true\n";

/// Which parts are walked.
#[derive(Debug, Clone, Copy)]
pub struct Parts {
    /// That of 2017.
    pub of_2017: bool,
    /// That of today.
    pub today: bool,
}

/// Walks, and prints where the seconds went. With `keep`, says how to go on and waits until `stop` is done.
///
/// # Errors
/// The first step's that failed; everything has been taken down by then.
pub async fn play(
    options: &Options,
    parts: Parts,
    prepared: &Prepared,
    screen: &Screen,
    keep: Option<impl Future<Output = ()>>,
) -> Result<()> {
    let step = screen.step("Bring the rack up: machines, their BMCs, a bridge");
    let last = NodeConfig::new(options.firmware);
    let memory_mib = if options.image.is_debian() { 1024 } else { last.memory_mib };
    let last = parts.today.then_some(NodeConfig { memory_mib, ..last });
    let first = parts.of_2017.then(|| NodeConfig::new(Firmware::Bios));
    let nodes = first.into_iter().chain(last).collect();
    let rack = Rack::start(RackConfig { nodes, ..RackConfig::default() }).await?;
    step.done(&format!("{} machines", rack.nodes().len()));

    let step =
        screen.step("Start billet serve; metadata at 169.254.169.254 is all that its configuration asks for");
    let state_dir = rack.info().state_dir.join("billet");
    let config = rack.info().state_dir.join("billet.toml");
    std::fs::write(&config, CONFIGURATION).map_err(Error::io("writing", &config))?;
    let arguments = ["--config", &config.to_string_lossy()];
    let server = Mutex::new(Server::start(&options.billet, &state_dir, &prepared.ramdisk, &arguments).await?);
    step.done(&server.lock().await.endpoint());

    let key = Key::make(&rack.info().state_dir)?;
    let of_2017 = prepared.client_of_2017.as_deref().ok_or_else(|| {
        Error::Invalid("a walk needs the clients of 2017; run `billet-lab demo --prepare` first".into())
    })?;
    let terminal = Terminal::open(&rack.info().state_dir.join("terminal"), &prepared.client, of_2017)?;
    let mut walk = Walk::new(terminal, screen, &server, prepared.ramdisk.clone());
    let outcome = steps(&mut walk, options, parts, prepared, &rack, &key, keep.is_some()).await;
    screen.text(&render(&walk.spans().await));
    match (&outcome, keep) {
        (Ok(()), Some(stop)) => {
            screen.text(&how_to_go_on(&walk, &rack, key.path(), options));
            stop.await;
        }
        (Ok(()), None) => {}
        (Err(_), _) => last_words(&server, &rack, screen).await,
    }
    drop(walk);
    server.into_inner().stop().await;
    rack.stop().await;
    outcome
}

async fn steps(
    walk: &mut Walk<'_>,
    options: &Options,
    parts: Parts,
    prepared: &Prepared,
    rack: &Rack,
    key: &Key,
    keep: bool,
) -> Result<()> {
    walk.begin_as_admin().await?;
    if parts.of_2017 {
        let image = prepared.partition_image.as_ref().ok_or_else(|| {
            Error::Invalid(
                "the walk of 2017 needs a partition image; run `billet-lab demo --prepare` first".into(),
            )
        })?;
        walk.of_2017(&rack.nodes()[0], image).await?;
        if parts.today {
            // The next part watches another node; what this one's events say is told now.
            walk.screen.text(&render(&walk.spans().await));
        }
    }
    if parts.today {
        let image = UserImage { kind: options.image, path: prepared.image.clone() };
        walk.today(&rack.nodes()[rack.nodes().len() - 1], &image, key, keep).await?;
    }
    Ok(())
}

async fn last_words(server: &Mutex<Server>, rack: &Rack, screen: &Screen) {
    let server = server.lock().await;
    screen.text(&format!("The server's last words ({}):\n{}", server.log().display(), server.last_words()));
    for node in rack.nodes() {
        let tail = node.machine.console().tail().await;
        if !tail.is_empty() {
            screen.text(&format!("The last words of {}:\n{tail}", node.info.name));
        }
    }
}

fn how_to_go_on(walk: &Walk<'_>, rack: &Rack, key: &Path, options: &Options) -> String {
    let info = rack.info();
    let lab = std::env::current_exe().unwrap_or_else(|_| "billet-lab".into());
    let exec = format!("{} exec --rack {} --", lab.display(), info.pid);
    let (key, user) = (key.display(), options.image.user());
    let address = walk.server_address().map_or_else(|| "ADDRESS".into(), |address| address.to_string());
    format!(
        "It all keeps running. In another terminal:\n\
         \x20 {exec} sh -c '{} && exec sh'      # the tenant's shell: openstack server list\n\
         \x20 {exec} ssh -i {key} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null {user}@{address}\n\
         Ctrl-C takes it down.",
        walk.terminal.setup(),
    )
}
