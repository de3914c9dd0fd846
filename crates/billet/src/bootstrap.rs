//! The first start of a site: who there is, and the files by which its owner logs in.
//!
//! The files are written under other names before the database, and renamed after it: whatever the moment of a crash, the next start
//! either makes everything anew or finds the passwords that the database knows.

use anyhow::{Context, Result};
use api::identity::bootstrap::{Login, first_data};
use model::identity::bootstrap::{OPERATOR, REGION};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use store::Store;

/// For `openstack` and openstacksdk.
const CLOUDS: &str = "clouds.yaml";
/// For shells.
const OPENRC: &str = "openrc";

/// How the API is reached from this host, for the files.
pub struct Reach {
    /// Scheme, host and port.
    pub base_url: String,
    /// It is served over TLS with this certificate.
    pub certificate: Option<PathBuf>,
}

/// Makes, in a state directory that has none yet, the users, projects and roles that a cloud begins with, and the files that tell how to
/// log in. Files that are there are left alone.
pub async fn bootstrap(store: &Store, state_dir: &Path, reach: &Reach) -> Result<()> {
    let identity = store.identity();
    if !identity.has_first_data().await? {
        let (data, logins) = first_data()?;
        for (name, text) in [(CLOUDS, clouds(reach, &logins)), (OPENRC, openrc(reach, &logins))] {
            write(&state_dir.join(draft(name)), &text)?;
        }
        identity.write_first_data(&data).await.context("the first users")?;
    }
    for name in [CLOUDS, OPENRC] {
        let (draft, path) = (state_dir.join(draft(name)), state_dir.join(name));
        if !draft.exists() {
            continue;
        }
        if path.exists() {
            tracing::warn!(kept = %path.display(), new = %draft.display(), "how to log in stands in the new file; the other was there before");
            continue;
        }
        fs::rename(&draft, &path).with_context(|| format!("{}", path.display()))?;
        tracing::info!(file = %path.display(), "how to log in stands there");
    }
    Ok(())
}

/// The name under which a file is written before the database is.
fn draft(name: &str) -> String {
    format!("{name}.new")
}

/// Writes a file that only its owner can read, down to the disk.
fn write(path: &Path, text: &str) -> Result<()> {
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    written.with_context(|| format!("{}", path.display()))
}

/// The name of a log-in in `clouds.yaml`.
fn cloud(login: &Login) -> &'static str {
    if login.user == OPERATOR { "billet" } else { login.user }
}

fn clouds(reach: &Reach, logins: &[Login]) -> String {
    let mut text = String::from(
        "# Made at the first start. The cloud `billet` is the operator of this site: keep this file to yourself.\n\
         # Use it with: export OS_CLIENT_CONFIG_FILE=THIS_FILE OS_CLOUD=billet\nclouds:\n",
    );
    for login in logins {
        // Passwords are drawn from letters, digits, `-` and `_`.
        let _ = writeln!(
            text,
            "  {}:\n    auth:\n      auth_url: \"{}/identity\"\n      username: {}\n      password: \"{}\"\n      \
             project_name: {}\n      user_domain_id: default\n      project_domain_id: default\n    region_name: {REGION}\n    \
             identity_api_version: 3",
            cloud(login),
            reach.base_url,
            login.user,
            login.password.expose(),
            login.project,
        );
        if let Some(certificate) = &reach.certificate {
            let _ = writeln!(text, "    # cacert: \"{}\"", certificate.display());
        }
    }
    text
}

/// For any POSIX shell: `.` takes no arguments there, and one within a script would see the script's.
fn openrc(reach: &Reach, logins: &[Login]) -> String {
    let mut text = format!(
        "# Made at the first start. Use it with: . ./openrc, which makes you {OPERATOR}, the operator of this site;\n\
         # or for another user of this file: BILLET_USER=demo; . ./openrc\ncase \"${{BILLET_USER:-{OPERATOR}}}\" in\n",
    );
    for login in logins {
        let _ = writeln!(
            text,
            "{})\n    export OS_USERNAME={} OS_PROJECT_NAME={} OS_PASSWORD='{}' ;;",
            login.user,
            login.user,
            login.project,
            login.password.expose()
        );
    }
    let _ = writeln!(
        text,
        "*)\n    echo \"openrc: there is no password of $BILLET_USER in this file\" >&2 ;;\nesac\n\
         export OS_AUTH_URL='{}/identity' OS_IDENTITY_API_VERSION=3 OS_REGION_NAME={REGION}\n\
         export OS_USER_DOMAIN_ID=default OS_PROJECT_DOMAIN_ID=default",
        reach.base_url
    );
    if let Some(certificate) = &reach.certificate {
        let _ = writeln!(text, "# export OS_CACERT='{}'", certificate.display());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn reach() -> Reach {
        Reach { base_url: "http://127.0.0.1:6385".to_owned(), certificate: None }
    }

    #[tokio::test]
    async fn the_first_start_makes_the_files_and_later_ones_leave_them_alone() {
        let dir = tempfile::tempdir().unwrap();
        let store = store::testing::open(dir.path()).await.unwrap();
        bootstrap(&store, dir.path(), &reach()).await.unwrap();
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        let (first, rc) = (read(CLOUDS), read(OPENRC));
        for name in [CLOUDS, OPENRC] {
            let mode = fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            assert!(!dir.path().join(draft(name)).exists());
        }
        assert!(first.contains("  billet:\n") && first.contains("  demo:\n") && !first.contains("nova"));
        assert!(rc.contains("OS_USERNAME=admin"));
        let users = store.identity().list::<model::identity::User>(&[]).await.unwrap();
        bootstrap(&store, dir.path(), &reach()).await.unwrap();
        assert_eq!(read(CLOUDS), first);
        assert_eq!(store.identity().list::<model::identity::User>(&[]).await.unwrap(), users);
        // Who threw the file away does not get another one: the passwords are nowhere else.
        fs::remove_file(dir.path().join(CLOUDS)).unwrap();
        bootstrap(&store, dir.path(), &reach()).await.unwrap();
        assert!(!dir.path().join(CLOUDS).exists());
    }

    #[tokio::test]
    async fn a_crash_before_the_files_have_their_names_loses_no_password() {
        let dir = tempfile::tempdir().unwrap();
        let store = store::testing::open(dir.path()).await.unwrap();
        let draft = dir.path().join(draft(CLOUDS));
        // Before the database was written: made anew.
        fs::write(&draft, "stale").unwrap();
        bootstrap(&store, dir.path(), &reach()).await.unwrap();
        let text = fs::read_to_string(dir.path().join(CLOUDS)).unwrap();
        assert!(text.contains("password"));
        // After it: found.
        fs::rename(dir.path().join(CLOUDS), &draft).unwrap();
        bootstrap(&store, dir.path(), &reach()).await.unwrap();
        assert_eq!(fs::read_to_string(dir.path().join(CLOUDS)).unwrap(), text);
        // A file of that name that was there first is its owner's.
        fs::write(&draft, "new").unwrap();
        bootstrap(&store, dir.path(), &reach()).await.unwrap();
        assert_eq!(fs::read_to_string(dir.path().join(CLOUDS)).unwrap(), text);
        assert!(draft.exists());
    }

    /// Debian's `sh` is dash, which takes POSIX at its word.
    #[tokio::test]
    async fn openrc_is_for_any_shell_and_any_of_its_users() {
        let dir = tempfile::tempdir().unwrap();
        let store = store::testing::open(dir.path()).await.unwrap();
        bootstrap(&store, dir.path(), &reach()).await.unwrap();
        let shell = |before: &str| {
            let script = format!("set -eu; {before} . ./{OPENRC}; echo \"$OS_USERNAME of $OS_PROJECT_NAME\"");
            // A script's own arguments are nobody's names.
            let run = std::process::Command::new("sh")
                .args(["-c", &script, "sh", "demo"])
                .current_dir(dir.path())
                .output();
            let run = run.unwrap();
            (
                String::from_utf8_lossy(&run.stdout).into_owned(),
                String::from_utf8_lossy(&run.stderr).into_owned(),
            )
        };
        assert_eq!(shell(""), ("admin of admin\n".to_owned(), String::new()));
        assert_eq!(shell("BILLET_USER=demo;"), ("demo of demo\n".to_owned(), String::new()));
        let (_, said) = shell("OS_USERNAME=x OS_PROJECT_NAME=y BILLET_USER=nobody;");
        assert!(said.contains("no password of nobody"), "{said}");
    }
}
