//! `POST /servers`: everything of a request is looked at before anything is stored; the machine is found behind the answer.

use super::body::{Fields, INTEGERS};
use super::server_image::image_of;
use super::server_networks::requested_networks;
use super::server_place::{Place, place};
use super::servers::{description, hostname, no_more_than_nova};
use super::{server_document, server_tags};
use crate::cloud::{Call, CloudError, Reply};
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use conductor::RequestError;
use model::Secret;
use model::compute::quota::{Limits, QuotaResource, exceeds};
use model::compute::server::hostname as made_hostname;
use model::compute::{Flavor, RequestedNetworks, Server, ServerImage, ServerKey, ServerUsage};
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use store::{ServerSecrets, StoreError};
use uuid::Uuid;

/// Servers of one request.
const SERVERS: i64 = 1000;
/// Characters of user data, base64 as it is.
const USER_DATA_LENGTH: usize = 65_535;
/// Characters of a password that is made.
const PASSWORD_LENGTH: usize = 12;

/// A request, read; what is named in it is there.
struct Wish {
    name: String,
    description: Option<String>,
    hostname: Option<String>,
    flavor: Flavor,
    image: ServerImage,
    key: Option<ServerKey>,
    networks: RequestedNetworks,
    place: Place,
    metadata: BTreeMap<String, String>,
    tags: BTreeSet<String>,
    security_groups: Vec<String>,
    config_drive: bool,
    least: i64,
    most: i64,
    secrets: ServerSecrets,
}

/// `POST /servers`
pub(super) async fn create(call: Call) -> Result<Reply, CloudError> {
    let body = call.json()?;
    let outer = Fields::new("the request's body", &body)?;
    outer.only(&["server", "os:scheduler_hints", "OS-SCH-HNT:scheduler_hints"])?;
    let fields = outer.object("server")?;
    let group = super::server_place::group(&call, &outer).await?;
    let wish = wish(&call, &fields).await?;
    let project = call.project()?.to_owned();
    let limits = call.state.store.compute_limits(Some(&project)).await?;
    check_metadata(&limits, &wish.metadata)?;
    let count = fitting_count(&call, &wish, &project, &limits).await?;
    let reservation = format!("r-{}", &Uuid::new_v4().simple().to_string()[..8]);
    let new = (0..count).map(|index| server(&call, &wish, &project, index, count, &reservation));
    let new = new.collect::<Result<Vec<_>, _>>()?;
    if let Some(group) = &group {
        let servers: Vec<_> = new.iter().map(|(server, _)| server.uuid).collect();
        call.join_group(group, &servers).await?;
    }
    let wanted = usage(&wish.flavor, count);
    let allow = |used: ServerUsage| match exceeds(used, wanted, &limits) {
        Some(exceeded) => Err(RequestError::Forbidden(exceeded.to_string())),
        None => Ok(()),
    };
    let made = call.state.conductor.create_servers(new, &call.requester()?, allow).await?;
    let Some(first) = made.first() else {
        return Err(CloudError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "No server was made, and nothing says why.",
        ));
    };
    if fields.flag("return_reservation_id")?.unwrap_or(false) {
        return Reply::json(&json!({"reservation_id": reservation}));
    }
    let mut own = json!({
        "id": first.uuid,
        "links": server_document::links(&call, first),
        "OS-DCF:diskConfig": "MANUAL",
        "security_groups": server_document::security_groups(first),
    });
    if let Some(password) = &wish.secrets.admin_password {
        own["adminPass"] = json!(password.expose());
    }
    let location = call.url(&format!("/v2.1/servers/{}", first.uuid));
    Ok(Reply::json(&json!({"server": own}))?.at(location))
}

/// Fields that a request may have with its microversion.
fn known(call: &Call) -> Vec<&'static str> {
    let mut known = vec![
        "name",
        "flavorRef",
        "imageRef",
        "adminPass",
        "metadata",
        "networks",
        "OS-DCF:diskConfig",
        "accessIPv4",
        "accessIPv6",
        "availability_zone",
        "block_device_mapping",
        "block_device_mapping_v2",
        "config_drive",
        "key_name",
        "min_count",
        "max_count",
        "return_reservation_id",
        "security_groups",
        "user_data",
    ];
    let since: [(u16, &[&str]); 5] = [
        (19, &["description"]),
        (52, &["tags"]),
        (63, &["trusted_image_certificates"]),
        (74, &["host", "hypervisor_hostname"]),
        (90, &["hostname"]),
    ];
    for (_, names) in since.iter().filter(|(minor, _)| call.minor >= *minor) {
        known.extend(*names);
    }
    if call.minor < 57 {
        known.push("personality");
    }
    known
}

async fn wish(call: &Call, fields: &Fields<'_>) -> Result<Wish, CloudError> {
    if fields.has("personality") && call.minor >= 57 {
        return Err(CloudError::invalid(
            "Invalid input for field/attribute server. personality is gone since microversion 2.57: put files into user_data.",
        ));
    }
    fields.only(&known(call))?;
    no_more_than_nova(fields)?;
    let name = fields.needed_name("name")?.to_owned();
    let flavor = flavor(call, fields).await?;
    let image = image_of(call, fields).await?;
    let (least, most) = counts(fields)?;
    if let Some(certificates) = fields.list("trusted_image_certificates").ok().flatten()
        && !certificates.is_empty()
    {
        return Err(CloudError::invalid(
            "trusted_image_certificates can't be given: images are checked by their checksums here, not by signatures.",
        ));
    }
    let metadata = if fields.has("metadata") { fields.pairs("metadata")? } else { BTreeMap::new() };
    let tags = match fields.list("tags")? {
        Some(tags) => server_tags::parsed(tags)?,
        None => BTreeSet::new(),
    };
    let description = if call.minor >= 19 { description(fields)?.flatten() } else { Some(name.clone()) };
    Ok(Wish {
        description,
        hostname: hostname(fields)?,
        key: key(call, fields).await?.flatten(),
        networks: requested_networks(call, fields)?,
        place: place(call, fields).await?,
        security_groups: super::server_security_groups::named(call, fields).await?,
        config_drive: fields.flag("config_drive")?.unwrap_or(false),
        secrets: secrets(call, fields).await?,
        name,
        flavor,
        image,
        metadata,
        tags,
        least,
        most,
    })
}

/// The flavor: its id, or a link that ends in it.
async fn flavor(call: &Call, fields: &Fields<'_>) -> Result<Flavor, CloudError> {
    let id = match fields.get("flavorRef").ok_or_else(|| fields.missing("flavorRef"))? {
        Value::Number(number) => number.to_string(),
        _ => fields.needed_text("flavorRef", 1..=1024)?.to_owned(),
    };
    let id = id.rsplit('/').next().unwrap_or_default();
    call.flavor(id).await.map_err(|error| match error.status {
        StatusCode::NOT_FOUND => CloudError::invalid(error.text),
        _ => error,
    })
}

/// The caller's key of that name; null: none. The outer `None`: it is not spoken of.
pub(super) async fn key(call: &Call, fields: &Fields<'_>) -> Result<Option<Option<ServerKey>>, CloudError> {
    let Some(name) = fields.nullable_text("key_name", 1..=255)? else { return Ok(None) };
    let Some(name) = name else { return Ok(Some(None)) };
    match call.state.store.keypair(call.user_id()?, name).await {
        Ok(found) => {
            let kind = "ssh".to_owned();
            Ok(Some(Some(ServerKey { name: found.name, public_key: found.public_key, kind })))
        }
        Err(StoreError::NotFound { .. }) => Err(CloudError::invalid(format!(
            "Invalid key_name provided. Keypair {name} could not be found among yours (openstack keypair list)."
        ))),
        Err(error) => Err(error.into()),
    }
}

/// How many servers at least and at most.
fn counts(fields: &Fields<'_>) -> Result<(i64, i64), CloudError> {
    let range = 1..=*INTEGERS.end();
    let least = fields.integer("min_count", range.clone())?;
    let most = fields.integer("max_count", range)?.or(least).unwrap_or(1);
    let least = least.unwrap_or(1);
    if least > most {
        return Err(CloudError::invalid("min_count must be <= max_count"));
    }
    if most > SERVERS {
        return Err(CloudError::invalid(format!(
            "max_count {most} is too large: one request makes at most {SERVERS} servers."
        )));
    }
    Ok((least, most))
}

/// User data, files and the password, which nobody is shown again.
async fn secrets(call: &Call, fields: &Fields<'_>) -> Result<ServerSecrets, CloudError> {
    let user_data = user_data(fields)?.flatten();
    let files = match fields.list("personality")? {
        Some(files) => self::files(call, files).await?,
        None => Vec::new(),
    };
    let admin_password = Some(match fields.text("adminPass", 1..=255)? {
        Some(given) => Secret::new(given),
        None => password()?,
    });
    Ok(ServerSecrets { user_data, files, admin_password, ..ServerSecrets::default() })
}

/// User data: base64 of at most 64 KiB. Null is none; the outer `None`: it is not spoken of.
pub(super) fn user_data(fields: &Fields<'_>) -> Result<Option<Option<Secret>>, CloudError> {
    match fields.get("user_data") {
        None => return Ok(None),
        Some(Value::Null) => return Ok(Some(None)),
        Some(_) => {}
    }
    let hidden =
        |why: String| CloudError::invalid(format!("Invalid input for field/attribute user_data. {why}"));
    let Some(Value::String(text)) = fields.get("user_data") else {
        return Err(hidden("It is not of type 'string'".to_owned()));
    };
    if text.len() > USER_DATA_LENGTH {
        return Err(hidden(format!(
            "It has {} characters in base64, and {USER_DATA_LENGTH} may be.",
            text.len()
        )));
    }
    let bare: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    if let Err(error) = STANDARD.decode(&bare) {
        return Err(hidden(format!("User data needs to be valid base 64, and is not: {error}")));
    }
    Ok(Some((!bare.is_empty()).then(|| Secret::new(bare))))
}

/// Files for the config drive, within the quota of the time when there were any.
async fn files(call: &Call, list: &[Value]) -> Result<Vec<(String, Secret)>, CloudError> {
    let limits = call.state.store.compute_limits(call.project().ok()).await?;
    let over = |resource, used: usize| {
        limits.exceeded(resource, 0, i64::try_from(used).unwrap_or(i64::MAX)).is_some()
    };
    let forbidden = |text: &str| Err(CloudError::forbidden(text.to_owned()));
    if over(QuotaResource::InjectedFiles, list.len()) {
        return forbidden("Quota exceeded, too many files to be injected.");
    }
    let mut files = Vec::with_capacity(list.len());
    for file in list {
        let fields = Fields::new("personality", file)?;
        fields.only(&["path", "contents"])?;
        let path = fields.needed_text("path", 1..=1024)?;
        let contents = fields.needed_text("contents", 0..=1 << 20)?;
        let bytes = STANDARD.decode(contents).map_err(|_| {
            CloudError::invalid(format!(
                "Personality content for {path} cannot be decoded: it is not base 64."
            ))
        })?;
        if over(QuotaResource::InjectedFilePathBytes, path.len()) {
            return forbidden("Quota exceeded, path of a file to be injected is too long.");
        }
        if over(QuotaResource::InjectedFileContentBytes, bytes.len()) {
            return forbidden("Quota exceeded, a file to be injected is too large.");
        }
        files.push((path.to_owned(), Secret::new(contents)));
    }
    Ok(files)
}

/// A password that nobody guesses.
pub(super) fn password() -> Result<Secret, CloudError> {
    // Without letters and digits that are taken for each other, as in Nova.
    const LETTERS: &[u8; 54] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwx";
    let mut made = String::new();
    let random = SystemRandom::new();
    while made.len() < PASSWORD_LENGTH {
        let mut bytes = [0; PASSWORD_LENGTH];
        random.fill(&mut bytes).map_err(|_| {
            CloudError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "There is no randomness to make a password of.",
            )
        })?;
        // Bytes beyond a multiple of the letters would favour some of them.
        let even = bytes
            .iter()
            .filter(|byte| **byte < 216)
            .map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]));
        made.extend(even.take(PASSWORD_LENGTH - made.len()));
    }
    Ok(Secret::new(made))
}

/// Refuses more pairs than the quota lets a server have.
pub(super) fn check_metadata(limits: &Limits, metadata: &BTreeMap<String, String>) -> Result<(), CloudError> {
    let count = i64::try_from(metadata.len()).unwrap_or(i64::MAX);
    if limits.exceeded(QuotaResource::MetadataItems, 0, count).is_none() {
        return Ok(());
    }
    Err(CloudError::forbidden(format!(
        "Maximum number of metadata items exceeds {}: there are {count}.",
        limits.get(QuotaResource::MetadataItems)
    )))
}

fn usage(flavor: &Flavor, count: i64) -> ServerUsage {
    let times = |size: i64| u64::try_from(size.saturating_mul(count)).unwrap_or(0);
    ServerUsage { instances: times(1), cores: times(flavor.vcpus), ram_mb: times(flavor.ram_mib) }
}

/// How many servers the quota lets be made, between the least and the most that are wanted.
async fn fitting_count(call: &Call, wish: &Wish, project: &str, limits: &Limits) -> Result<i64, CloudError> {
    let used = call.state.store.server_usage(project).await?;
    let mut count = wish.most;
    loop {
        match exceeds(used, usage(&wish.flavor, count), limits) {
            None => return Ok(count),
            Some(_) if count > wish.least => count -= 1,
            Some(exceeded) => return Err(CloudError::forbidden(exceeded.to_string())),
        }
    }
}

/// One of the servers.
fn server(
    call: &Call,
    wish: &Wish,
    project: &str,
    index: i64,
    count: i64,
    reservation: &str,
) -> Result<(Server, ServerSecrets), CloudError> {
    let numbered = |name: &str| if count > 1 { format!("{name}-{}", index + 1) } else { name.to_owned() };
    let uuid = Uuid::new_v4();
    let name = numbered(&wish.name);
    let mut server = Server::new(uuid, name, project, call.user_id()?, wish.flavor.of_server(), call.now());
    if let Some(hostname) = &wish.hostname {
        server.hostname = made_hostname(&numbered(hostname), uuid);
    }
    server.description.clone_from(&wish.description);
    server.image = Some(wish.image.clone());
    server.key.clone_from(&wish.key);
    server.metadata.clone_from(&wish.metadata);
    server.tags.clone_from(&wish.tags);
    server.config_drive = wish.config_drive;
    server.networks = wish.networks.clone();
    server.security_groups.clone_from(&wish.security_groups);
    server.availability_zone.clone_from(&wish.place.zone);
    server.wanted_host.clone_from(&wish.place.host);
    server.wanted_node.clone_from(&wish.place.node);
    server.launch_index = u32::try_from(index).unwrap_or(0);
    reservation.clone_into(&mut server.reservation_id);
    Ok((server, wish.secrets.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_data_is_base64_within_its_bound() {
        let read = |value: Value| {
            let body = json!({"user_data": value});
            let fields = Fields::new("server", &body).unwrap();
            user_data(&fields).map(|data| data.flatten().map(|data| data.expose().to_owned()))
        };
        assert_eq!(read(json!("aGk=\n")).unwrap().as_deref(), Some("aGk="));
        assert_eq!(read(Value::Null).unwrap(), None);
        assert_eq!(read(json!("")).unwrap(), None);
        for bad in [json!("not base 64!"), json!("aGk"), json!(7), json!("A".repeat(USER_DATA_LENGTH + 1))] {
            let refusal = read(bad).unwrap_err();
            assert_eq!(refusal.status, 400);
            assert!(refusal.text.contains("user_data"), "{refusal}");
            // What is secret is not repeated.
            assert!(!refusal.text.contains("not base 64!"), "{refusal}");
        }
    }

    #[test]
    fn passwords_differ() {
        let (one, other) = (password().unwrap(), password().unwrap());
        assert_eq!((one.expose().len(), other.expose().len()), (PASSWORD_LENGTH, PASSWORD_LENGTH));
        assert_ne!(one.expose(), other.expose());
    }
}
