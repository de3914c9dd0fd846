//! Debian packages by apt's own configuration: the host's mirror, its keys, its versions.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result};
use crate::process;

/// The metapackage of the kernel that both images run: small, fast to unpack, with virtio and NVMe.
const KERNEL: &str = "linux-image-cloud-amd64";

/// The versions that apt would install, as "name=version" lines.
///
/// # Errors
/// [`Error::Invalid`] when apt knows no such package.
pub(super) fn versions(names: &[&str]) -> Result<Vec<String>> {
    let text = process::output(Command::new("apt-cache").arg("policy").args(names).env("LC_ALL", "C"))?;
    let text = String::from_utf8_lossy(&text);
    let mut found = Vec::new();
    let mut name = "";
    for line in text.lines() {
        if let Some(package) = line.strip_suffix(':').filter(|package| !package.starts_with(' ')) {
            name = package;
        } else if let Some(version) = line.trim().strip_prefix("Candidate: ")
            && version != "(none)"
        {
            found.push(format!("{name}={version}"));
        }
    }
    for wanted in names {
        if !found.iter().any(|entry| entry.split('=').next() == Some(wanted)) {
            return Err(Error::Invalid(format!(
                "apt has no package {wanted}; run `apt-get update` and see that main is among its sources"
            )));
        }
    }
    Ok(found)
}

/// The kernel package that the metapackage points to, such as `linux-image-6.1.0-28-cloud-amd64`.
///
/// # Errors
/// As [`versions`].
pub(super) fn kernel() -> Result<String> {
    let text = process::output(
        Command::new("apt-cache").args(["depends", "--important", KERNEL]).env("LC_ALL", "C"),
    )?;
    let text = String::from_utf8_lossy(&text);
    let mut depends = text.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    let found = depends.find(|name| name.starts_with("linux-image-") && name.ends_with("-cloud-amd64"));
    found.map(str::to_string).ok_or_else(|| {
        Error::Invalid(format!("apt does not say which kernel {KERNEL} is; run `apt-get update`"))
    })
}

/// Downloads packages into `dir` and unpacks all of them into `root`, without running their scripts.
///
/// # Errors
/// [`Error::Command`] when apt or dpkg fails.
pub(super) fn unpack(versions: &[String], dir: &Path, root: &Path) -> Result<()> {
    for path in [dir, root] {
        std::fs::create_dir_all(path).map_err(Error::io("creating", path))?;
    }
    // apt's download user can't write into our directory; the signatures are checked all the same.
    process::output(
        Command::new("apt-get")
            .args(["download", "-qq", "-o", "APT::Sandbox::User=root"])
            .args(versions)
            .current_dir(dir),
    )?;
    for entry in std::fs::read_dir(dir).map_err(Error::io("listing", dir))?.flatten() {
        if entry.path().extension().is_some_and(|extension| extension == "deb") {
            process::output(Command::new("dpkg-deb").arg("-x").arg(entry.path()).arg(root))?;
        }
    }
    Ok(())
}

/// A Debian mirror, suite and keyring, as the host's own apt uses them for its main archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mirror {
    pub url: String,
    pub keyring: Option<PathBuf>,
}

/// The mirror that the host's apt uses for `suite`.
///
/// # Errors
/// [`Error::Invalid`] when its sources name none.
pub(super) fn mirror(suite: &str) -> Result<Mirror> {
    let mut texts = vec![std::fs::read_to_string("/etc/apt/sources.list").unwrap_or_default()];
    let mut files: Vec<PathBuf> = std::fs::read_dir("/etc/apt/sources.list.d")
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.path())
        .collect();
    files.sort();
    files.retain(|path| {
        path.extension().is_some_and(|extension| extension == "list" || extension == "sources")
    });
    texts.extend(files.iter().filter_map(|path| std::fs::read_to_string(path).ok()));
    let found = texts.iter().find_map(|text| one_line(text, suite).or_else(|| deb822(text, suite)));
    found.ok_or_else(|| {
        let hint = "add a line `deb MIRROR SUITE main` to /etc/apt/sources.list";
        Error::Invalid(format!(
            "apt's sources name no mirror of Debian's {suite} with the component main; {hint}"
        ))
    })
}

/// `deb [signed-by=…] URL SUITE main`
fn one_line(text: &str, suite: &str) -> Option<Mirror> {
    text.lines().find_map(|line| {
        let rest = line.trim().strip_prefix("deb ")?.trim_start();
        let (options, rest) = match rest.strip_prefix('[') {
            Some(rest) => rest.split_once(']')?,
            None => ("", rest),
        };
        let mut words = rest.split_whitespace();
        let (url, named) = (words.next()?, words.next()?);
        let keyring = options
            .split_whitespace()
            .find_map(|option| option.strip_prefix("signed-by="))
            .map(PathBuf::from);
        (named == suite && words.any(|word| word == "main")).then(|| Mirror { url: url.into(), keyring })
    })
}

/// Stanzas of `Key: value` lines.
fn deb822(text: &str, suite: &str) -> Option<Mirror> {
    text.split("\n\n").find_map(|stanza| {
        let field = |key: &str| {
            stanza.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).map(str::trim)
        };
        let has = |key: &str, word: &str| {
            field(key).is_some_and(|value| value.split_whitespace().any(|one| one == word))
        };
        let keyring = field("Signed-By").filter(|path| path.starts_with('/')).map(PathBuf::from);
        let url = field("URIs")?.split_whitespace().next()?.to_string();
        (has("Types", "deb") && has("Suites", suite) && has("Components", "main"))
            .then_some(Mirror { url, keyring })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_are_read_from_both_kinds_of_sources() {
        let new = "# a\nTypes: deb deb-src\nURIs: http://mirror.example/debian\nSuites: bookworm bookworm-updates\nComponents: main\nSigned-By: /k.gpg\n";
        let want = Mirror { url: "http://mirror.example/debian".into(), keyring: Some("/k.gpg".into()) };
        assert_eq!(deb822(new, "bookworm"), Some(want));
        assert_eq!(deb822(new, "trixie"), None);
        let old = "# deb http://no.example/debian bookworm main\ndeb [arch=amd64 signed-by=/k.gpg] http://m.example/debian bookworm main contrib\n";
        assert_eq!(
            one_line(old, "bookworm"),
            Some(Mirror { url: "http://m.example/debian".into(), keyring: Some("/k.gpg".into()) })
        );
        assert_eq!(one_line(old, "bookworm-security"), None);
    }
}
