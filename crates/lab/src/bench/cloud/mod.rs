//! How fast the services around Ironic's are, and how large: `billet-lab bench cloud`.
//!
//! A server with users of its own over an empty state directory: first start, idle memory, tokens, images beside `cp`, and a thousand
//! servers on fake machines at once.

mod servers;
mod transfer;

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::connection::Connection;
use super::server::pause;
use super::site::Site;
use super::table::{Bar, Table, median, milliseconds};
use super::{Options, ROUNDS};
use crate::error::{Error, Result};

/// A server that has nothing to do settles in this time.
const SETTLE: Duration = Duration::from_secs(5);
/// Tokens issued in one measurement.
const TOKENS: usize = 50;
/// Where tokens are issued.
const AUTH: &str = "/identity/v3/auth/tokens";

/// Measures the cloud's services into a table; `progress` hears what is being done.
///
/// # Errors
/// When the server or a request fails, or an address or a node is given twice; the table has what was measured until then. A missed bar is
/// no error.
pub fn cloud(options: &Options, table: &mut Table, progress: &mut dyn FnMut(&str)) -> Result<()> {
    let failed = Error::io("creating a directory in", &options.directory);
    let dir = tempfile::tempdir_in(&options.directory).map_err(failed)?;
    let site = Site::new(options)?;
    progress("starting over an empty directory");
    let first_start = site.first_start(dir.path(), Site::start_cloud)?;
    table.push("first start to ready, empty directory", first_start, "ms", Bar::Below(300.0));

    let server = site.start_cloud(dir.path())?;
    pause(SETTLE);
    table.push("memory, idle (VmRSS)", server.memory_mib("VmRSS")?, "MiB", Bar::Below(40.0));
    progress("issuing tokens");
    let admin = Admin::find(&dir.path().join("state"))?;
    let mut connection = server.connect()?;
    tokens(&mut connection, &admin, table)?;
    progress("carrying images");
    transfer::measure(&server, &mut connection, dir.path(), table)?;
    progress("a thousand servers");
    servers::measure(&server, &admin, table, progress)
}

/// The admin, as the first start wrote it down.
#[derive(Debug)]
struct Admin {
    password: String,
}

impl Admin {
    fn find(state: &Path) -> Result<Self> {
        let path = state.join("openrc");
        let text = std::fs::read_to_string(&path).map_err(Error::io("reading", &path))?;
        let of_admin = text.lines().find(|line| line.contains("OS_USERNAME=admin "));
        let password = of_admin.and_then(|line| line.split_once("OS_PASSWORD=")).map(|(_, rest)| rest);
        let password = password
            .and_then(|rest| rest.split_whitespace().next())
            .ok_or_else(|| Error::Invalid(format!("{} has no password of admin", path.display())))?;
        Ok(Self { password: password.trim_matches(['"', '\'']).to_owned() })
    }

    /// The body that asks for a token with the password.
    fn login(&self) -> Value {
        let user = json!({"name": "admin", "domain": {"id": "default"}, "password": self.password});
        json!({"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope()}})
    }

    /// Logs the connection in.
    fn enter(&self, connection: &mut Connection) -> Result<String> {
        connection.succeed("POST", AUTH, self.login().to_string().as_bytes())?;
        let token = connection.header("x-subject-token").map(str::to_owned);
        let token = token.ok_or_else(|| Error::Invalid("a new token should be in X-Subject-Token".into()))?;
        connection.authenticate(&token);
        Ok(token)
    }
}

fn scope() -> Value {
    json!({"project": {"name": "admin", "domain": {"id": "default"}}})
}

/// By password, and by another token: the latter is all of the work but the password's hash.
fn tokens(connection: &mut Connection, admin: &Admin, table: &mut Table) -> Result<()> {
    let mut by_password = Vec::new();
    let body = admin.login().to_string();
    for _ in 0..ROUNDS {
        by_password.push(milliseconds(connection.succeed("POST", AUTH, body.as_bytes())?.took));
    }
    table.push("token by password, its hash included", median(&mut by_password), "ms", Bar::None);
    let token = admin.enter(connection)?;
    let body =
        json!({"auth": {"identity": {"methods": ["token"], "token": {"id": token}}, "scope": scope()}})
            .to_string();
    let mut by_token = Vec::new();
    for _ in 0..TOKENS {
        by_token.push(milliseconds(connection.succeed("POST", AUTH, body.as_bytes())?.took));
    }
    table.push("token by token: all but the hash", median(&mut by_token), "ms", Bar::Below(5.0));
    Ok(())
}
