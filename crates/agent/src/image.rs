//! `standby.prepare_image`: the image, the config drive, and what the conductor wants to know about them.

mod grow;
mod partition;
mod source;

use crate::bell::{lock, pause};
use crate::fault::Fault;
use crate::http::{Request, Response, Url};
use crate::machine::BlockDevice;
use crate::run::Agent;
use crate::say;
use disk::partition::{move_backup_to_end, read_table, write_config_drive};
use disk::{Checksum, Disk, Format, Phase, Policy, Progress, Report, WriteOptions, write_image};
use model::Secret;
use model::agent::{ImageInfo, PartitionUuids, PrepareImageParams};
use model::hints::{RootHints, choose};
use std::time::{Duration, Instant};

pub use source::HttpSource;

/// Largest checksum file and largest config drive (as text) that are fetched.
const LONGEST_LIST: usize = disk::checksum::MAX_LIST_LENGTH;
const LONGEST_CONFIG_DRIVE: usize = 24 << 20;
const PROGRESS: Duration = Duration::from_secs(10);

/// Refuses an `image_info` that cannot be meant, before the command is taken on.
pub fn validate(info: &ImageInfo) -> Result<(), Fault> {
    if info.urls.is_empty() {
        return Err(Fault::invalid_params("Image 'urls' must be a list with at least one element."));
    }
    if let Some(bad) = info.urls.iter().find(|url| Url::parse(url).is_none()) {
        // Without what may be a password in it.
        let shown: String = bad.chars().take_while(|c| !matches!(c, '@' | '?')).take(200).collect();
        return Err(Fault::invalid_params(format!("Image URL {shown:?} is no http or https URL.")));
    }
    let has = |value: &Option<String>| value.as_ref().is_some_and(|text| !text.is_empty());
    let has_hash = has(&info.os_hash_algo) && has(&info.os_hash_value);
    if !has_hash && !has(&info.checksum) {
        return Err(Fault::invalid_params(
            "Image checksum is not available: give 'os_hash_algo' and 'os_hash_value', or 'checksum'.",
        ));
    }
    if partition::is_asked_for(info) { partition::validate(info) } else { Ok(()) }
}

/// Writes the image and the config drive to the root disk. Returns what the conductor logs.
pub fn prepare(agent: &Agent, params: &PrepareImageParams) -> Result<String, Fault> {
    let info = &params.image_info;
    *lock(&agent.partitions) = None;
    let config_drive = config_drive(agent, params)?;
    let device = wait_for_root_device(agent)?;
    let name = &device.disk.name;
    let target = open(&device)?;
    let options = write_options(agent, info)?;
    if partition::is_asked_for(info) {
        return partition::prepare(agent, info, &device, target, options, config_drive.as_deref());
    }
    from_urls(agent, info, name, |source, progress| {
        write_image(source, &target, &options, progress).map(|report| (report.clone(), report))
    })?;

    let iso_length = config_drive.as_ref().map_or(0, Vec::len);
    match &config_drive {
        Some(iso) => {
            let partition = write_config_drive(&target, iso)?;
            say!("{name}: config drive of {iso_length} bytes in partition {}", partition.number);
        }
        None => {
            move_backup_to_end(&target)?;
        }
    }
    let table = read_table(&target)?.filter(|table| !table.partitions.is_empty()).ok_or_else(|| {
        Fault::deployment(format!(
            "no partitions found on {name} after writing image {}; is it a whole-disk image?",
            info.id
        ))
    })?;
    drop(target);
    crate::erase::reread_partitions(&device.path);
    let root = format!("0x{:08x}", table.disk_signature);
    *lock(&agent.partitions) = Some(PartitionUuids { root: Some(root.clone()), ..PartitionUuids::default() });
    Ok(format!("image ({}) written to device {name} root_uuid={root}", info.id))
}

/// How a source is written to the disk: what the conductor is to know, and what there is to tell of the image.
type Written<T> = disk::Result<(T, Report)>;

/// Tries the image's URLs in their order until one could be written.
fn from_urls<T>(
    agent: &Agent,
    info: &ImageInfo,
    name: &str,
    mut write: impl FnMut(&mut HttpSource, &mut dyn FnMut(Progress)) -> Written<T>,
) -> Result<T, Fault> {
    let mut reasons = Vec::new();
    for text in &info.urls {
        let Some(url) = Url::parse(text) else { continue };
        say!("{name}: writing {url}");
        match from_url(agent, info, &url, name, &mut write) {
            Ok(done) => return Ok(done),
            Err(fault) => {
                say!("{url}: {fault}");
                reasons.push((url.to_string(), fault));
            }
        }
    }
    match reasons.len() {
        1 => Err(reasons.remove(0).1),
        _ => {
            let all: Vec<String> = reasons.iter().map(|(url, fault)| format!("{url}: {fault}")).collect();
            Err(Fault::download(format!("Download of image {} failed: {}", info.id, all.join("; "))))
        }
    }
}

fn from_url<T>(
    agent: &Agent,
    info: &ImageInfo,
    url: &Url,
    name: &str,
    write: &mut impl FnMut(&mut HttpSource, &mut dyn FnMut(Progress)) -> Written<T>,
) -> Result<T, Fault> {
    let failed = |error: &dyn std::fmt::Display| {
        Fault::download(format!("Download of image {} from {url} failed: {error}", info.id))
    };
    let mut source = HttpSource::open(&agent.client, &agent.options, url, authorization(info)?)
        .map_err(|error| failed(&error))?;
    let (mut told, mut last) = (Instant::now(), None);
    let (done, report) = write(&mut source, &mut |progress: Progress| {
        if told.elapsed() > PROGRESS || (progress.phase != Phase::Writing && last != Some(progress.phase)) {
            say!("{name}: {}", describe(progress));
            (told, last) = (Instant::now(), Some(progress.phase));
        }
    })?;
    let seconds = report.write_time.as_secs_f64();
    say!(
        "{name}: {} image of {} MiB written in {seconds:.1} s (+ {:.1} s sync), {} MiB moved, checksum {}{}",
        report.format.name(),
        report.image_bytes >> 20,
        report.sync_time.as_secs_f64(),
        report.written_bytes >> 20,
        if report.checksum.is_some() { "right" } else { "not asked for" },
        if report.is_verified { ", read back" } else { "" },
    );
    if let Some(peak) = peak_memory() {
        say!("memory at its peak: {peak}");
    }
    Ok(done)
}

/// The most memory this process ever had resident, as the kernel writes it.
fn peak_memory() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    Some(status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().to_owned())
}

fn describe(progress: Progress) -> String {
    let verb = match progress.phase {
        Phase::Writing => "written",
        Phase::Syncing => return "waiting for the disk".to_owned(),
        Phase::Verifying => "read back",
    };
    match progress.total.filter(|total| *total > 0) {
        Some(total) => format!("{} of {} MiB {verb}", progress.done >> 20, total >> 20),
        None => format!("{} MiB {verb}", progress.done >> 20),
    }
}

/// The root disk by the node's hints; waits for one to appear where the controller is slow.
fn wait_for_root_device(agent: &Agent) -> Result<BlockDevice, Fault> {
    let end = Instant::now() + agent.options.disk_wait;
    loop {
        match root_device(agent) {
            Err(fault) if fault.code() == 404 && Instant::now() < end => pause(Duration::from_secs(1)),
            other => return other,
        }
    }
}

/// The root disk by the node's hints.
pub(crate) fn root_device(agent: &Agent) -> Result<BlockDevice, Fault> {
    let node = agent.session().node;
    let hints = RootHints::of_node(&node.instance_info, &node.properties)
        .map_err(|error| Fault::invalid_params(error.to_string()))?;
    let mut devices = agent.machine.disks();
    devices.retain(|device| !device.is_read_only);
    let disks: Vec<_> = devices.iter().map(|device| device.disk.clone()).collect();
    let choice = choose(hints.as_ref(), &disks).map_err(|error| Fault::no_device(error.to_string()))?;
    if let Some(warning) = choice.warning {
        say!("{warning}");
    }
    let name = &choice.disk.name;
    let device = devices.iter().find(|device| device.disk.name == *name).cloned();
    device.ok_or_else(|| Fault::no_device(format!("{name} has gone")))
}

/// Opens a disk for writing, alone.
pub(crate) fn open(device: &BlockDevice) -> Result<Disk, Fault> {
    Disk::open(&device.path).map_err(|error| {
        Fault::write(format!("opening {} for writing failed: {error}; is it in use?", device.disk.name))
    })
}

fn write_options(agent: &Agent, info: &ImageInfo) -> Result<WriteOptions, Fault> {
    let config = agent.session().config;
    let permitted: Option<Vec<Format>> = config
        .permitted_image_formats
        .map(|names| names.iter().filter_map(|name| Format::parse(name).ok()).collect());
    let format = match info.disk_format.as_deref() {
        None | Some("") => None,
        Some(name) => Some(Format::parse(name)?),
    };
    let policy = Policy { is_md5_allowed: config.agent_md5_checksum_enable == Some(true) };
    Ok(WriteOptions {
        format,
        permitted: permitted.unwrap_or_else(|| Format::ALL.to_vec()),
        checksum: Some(checksum(agent, info, policy)?),
        verify: agent.options.is_read_back,
        is_target_zeroed: false,
    })
}

/// The checksum by `os_hash_*`, else by `checksum`; either may be the URL of a checksum file.
fn checksum(agent: &Agent, info: &ImageInfo, policy: Policy) -> Result<Checksum, Fault> {
    let named = info.os_hash_algo.as_deref().zip(info.os_hash_value.as_deref());
    let (algorithm, text) = match named.filter(|(_, value)| !value.is_empty()) {
        Some((algorithm, value)) => (Some(algorithm), value),
        None => (None, info.checksum.as_deref().unwrap_or_default()),
    };
    let Some(url) = Url::parse(text) else {
        return Ok(Checksum::parse(algorithm, text, policy)?);
    };
    let list = fetch(agent, &url, authorization(info)?, LONGEST_LIST)
        .map_err(|error| Fault::checksum(format!("fetching the checksum file {url} failed: {error}")))?;
    let image = info.urls.first().and_then(|text| Url::parse(text));
    let file_name = image.as_ref().map_or("", Url::file_name);
    Ok(Checksum::find_in_list(&String::from_utf8_lossy(&list), file_name, policy)?)
}

/// The config drive's ISO image: given as text, or fetched.
fn config_drive(agent: &Agent, params: &PrepareImageParams) -> Result<Option<Vec<u8>>, Fault> {
    let Some(given) = params.configdrive.as_ref().or(params.image_info.configdrive.as_ref()) else {
        return Ok(None);
    };
    match given.expose().trim() {
        "" => Ok(None),
        text => match Url::parse(text) {
            None => Ok(Some(disk::config_drive::decode(text)?)),
            Some(url) => {
                let body = fetch(agent, &url, None, LONGEST_CONFIG_DRIVE).map_err(|error| {
                    Fault::download(format!("fetching the config drive {url} failed: {error}"))
                })?;
                Ok(Some(disk::config_drive::decode(&String::from_utf8_lossy(&body))?))
            }
        },
    }
}

fn fetch(
    agent: &Agent,
    url: &Url,
    authorization: Option<Secret>,
    limit: usize,
) -> Result<Vec<u8>, crate::http::HttpError> {
    let request = Request { method: "GET", authorization, ..Request::default() };
    agent.client.send(url, &request).and_then(Response::ok)?.body.read_all(limit)
}

/// What the image server wants to see: a whole header from the conductor, or user and password.
fn authorization(info: &ImageInfo) -> Result<Option<Secret>, Fault> {
    use base64::Engine;
    if let Some(encoded) = info.image_request_authorization.as_ref().filter(|text| !text.expose().is_empty())
    {
        let decoded = base64::engine::general_purpose::STANDARD.decode(encoded.expose()).ok();
        let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        return text
            .map(|text| Some(Secret::new(text)))
            .ok_or_else(|| Fault::invalid_params("image_request_authorization is not base64 of a text"));
    }
    if info.image_server_auth_strategy.as_deref() != Some("http_basic") {
        return Ok(None);
    }
    match (&info.image_server_user, &info.image_server_password) {
        (Some(user), Some(password)) => {
            Ok(Some(crate::http::basic_authorization(&format!("{user}:{}", password.expose()))))
        }
        _ => Err(Fault::invalid_params("http_basic needs image_server_user and image_server_password")),
    }
}
