//! Kernel modules: the ones this machine's devices ask for, in the order their dependencies ask for.
//!
//! `/etc/billet/modules`, written by the `ramdisk` crate, has three kinds of lines:
//! `module NAME PATH DEPENDENCY,…` (`-` for none), `alias PATTERN NAME` and `load NAME` (whatever the devices).

use crate::bell::pause;
use crate::say;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Buses are scanned until nothing new was found for so long; controllers bring up their devices a moment after loading.
const QUIET: Duration = Duration::from_millis(300);
const SCAN_LIMIT: Duration = Duration::from_secs(20);
/// `MODULE_INIT_COMPRESSED_FILE` of finit_module(2).
const COMPRESSED: libc::c_int = 4;

/// What the ramdisk has.
#[derive(Debug, Default)]
pub struct Modules {
    root: PathBuf,
    modules: BTreeMap<String, (PathBuf, Vec<String>)>,
    aliases: Vec<(String, String)>,
    always: Vec<String>,
}

impl Modules {
    /// Reads `/etc/billet/modules` under `root`; without it there are none.
    pub fn read(root: &Path) -> Self {
        let text = fs::read_to_string(root.join("etc/billet/modules")).unwrap_or_default();
        let mut modules = Self { root: root.to_owned(), ..Self::default() };
        for line in text.lines() {
            match line.split_whitespace().collect::<Vec<_>>()[..] {
                ["module", name, path, needs] => {
                    let needs = needs.split(',').filter(|need| *need != "-").map(str::to_owned).collect();
                    modules.modules.insert(name.to_owned(), (root.join(path.trim_start_matches('/')), needs));
                }
                ["alias", pattern, name] => modules.aliases.push((pattern.to_owned(), name.to_owned())),
                ["load", name] => modules.always.push(name.to_owned()),
                _ => {}
            }
        }
        modules
    }

    /// Loads what is to be loaded, and scans the buses until no new device wants a module.
    pub fn load(&self) {
        let mut done = BTreeSet::new();
        for name in &self.always {
            self.load_one(name, &mut done, 0);
        }
        let (mut seen, start) = (BTreeSet::new(), Instant::now());
        let mut last_news = start;
        while last_news.elapsed() < QUIET && start.elapsed() < SCAN_LIMIT {
            for alias in device_aliases(&self.root.join("sys/devices")) {
                if seen.insert(alias.clone()) {
                    last_news = Instant::now();
                    for name in self.wanted(&alias) {
                        self.load_one(name, &mut done, 0);
                    }
                }
            }
            pause(Duration::from_millis(20));
        }
        say!("{} of {} modules loaded", done.len(), self.modules.len());
    }

    /// Loads a module that no device asks for, and what it needs. One that is not there is built into the kernel, or missing: what
    /// needs it will say so.
    pub fn load_by_name(&self, name: &str) {
        self.load_one(name, &mut BTreeSet::new(), 0);
    }

    /// Modules whose alias fits a device.
    pub fn wanted<'a>(&'a self, device: &str) -> Vec<&'a str> {
        let fits = self.aliases.iter().filter(|(pattern, _)| matches(pattern.as_bytes(), device.as_bytes()));
        fits.map(|(_, name)| name.as_str()).collect()
    }

    fn load_one(&self, name: &str, done: &mut BTreeSet<String>, depth: usize) {
        // Deeper than any kernel's dependencies; a list in a circle ends here.
        if depth > 32 || done.contains(name) {
            return;
        }
        let Some((path, needs)) = self.modules.get(name) else { return };
        for need in needs {
            self.load_one(need, done, depth + 1);
        }
        done.insert(name.to_owned());
        match insert(path) {
            Ok(()) => {}
            // There already, or built for hardware that is not there.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EEXIST | libc::ENODEV)) => {}
            Err(error) => say!("module {name}: {error}"),
        }
    }
}

fn insert(path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    let is_compressed = path.extension().is_some_and(|extension| extension != "ko");
    let (flags, parameters) = (if is_compressed { COMPRESSED } else { 0 }, CString::default());
    // SAFETY: an open file, an empty C string.
    let result =
        unsafe { libc::syscall(libc::SYS_finit_module, file.as_raw_fd(), parameters.as_ptr(), flags) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// All `modalias` files under a directory; links are not followed.
fn device_aliases(devices: &Path) -> Vec<String> {
    let (mut found, mut left) = (Vec::new(), vec![devices.to_owned()]);
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => left.push(entry.path()),
                Ok(kind) if kind.is_file() && entry.file_name() == "modalias" => {
                    found.extend(fs::read_to_string(entry.path()).ok().map(|text| text.trim().to_owned()));
                }
                _ => {}
            }
        }
    }
    found
}

/// fnmatch(3) with `*`, `?` and `[…]`, as depmod writes patterns.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        let step = match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
                continue;
            }
            None if t == text.len() => return true,
            Some(&c) if t < text.len() => match c {
                b'?' => Some(p + 1),
                b'[' => class(pattern, p, text[t]),
                _ => (c == text[t]).then_some(p + 1),
            },
            _ => None,
        };
        match (step, star) {
            (Some(next), _) => (p, t) = (next, t + 1),
            // Let the last star swallow one more.
            (None, Some((at, from))) if from < text.len() => {
                star = Some((at, from + 1));
                (p, t) = (at + 1, from + 1);
            }
            _ => return false,
        }
    }
}

/// Where the pattern goes on after a `[…]` that holds the byte; `None` where it does not.
fn class(pattern: &[u8], open: usize, byte: u8) -> Option<usize> {
    let close = open + pattern[open..].iter().position(|c| *c == b']')?;
    let mut at = open + 1;
    while at < close {
        let is_range = pattern[at + 1] == b'-' && at + 2 < close;
        let (low, high) = (pattern[at], if is_range { pattern[at + 2] } else { pattern[at] });
        if (low..=high).contains(&byte) {
            return Some(close + 1);
        }
        at += if is_range { 3 } else { 1 };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_like_depmods() {
        let yes = [
            ("virtio:d00000001v*", "virtio:d00000001v00001AF4"),
            ("pci:v00008086d0000100Esv*sd*bc*sc*i*", "pci:v00008086d0000100Esv00001AF4sd00001100bc02sc00i00"),
            ("*", ""),
            ("a*b*c", "aXbYbZc"),
            ("dmi*:svn[A-D]?ll*:", "dmi:bvnX:svnDell Inc.:"),
        ];
        for (pattern, text) in yes {
            assert!(matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
        for (pattern, text) in
            [("virtio:d00000001v*", "virtio:d00000002v00001AF4"), ("a*b", "aXc"), ("[0-9", "1"), ("a", "")]
        {
            assert!(!matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
    }

    #[test]
    fn the_list_says_what_a_device_wants() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("etc/billet")).unwrap();
        fs::write(
            dir.path().join("etc/billet/modules"),
            "module virtio lib/virtio.ko -\nmodule virtio_net lib/virtio_net.ko virtio,failover\n\
             alias virtio:d00000001v* virtio_net\nload efivarfs\nnonsense\n",
        )
        .unwrap();
        let modules = Modules::read(dir.path());
        assert_eq!(modules.wanted("virtio:d00000001v00001AF4"), ["virtio_net"]);
        assert_eq!(modules.modules["virtio_net"].1, ["virtio", "failover"]);
        assert_eq!(modules.always, ["efivarfs"]);
        assert!(Modules::read(&dir.path().join("none")).wanted("x").is_empty());
    }
}
