//! `Boot####` and `BootOrder` as files of efivarfs: four bytes of attributes, then the value.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// EFI_GLOBAL_VARIABLE.
const VENDOR: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
/// Non-volatile, visible to boot services and at run time.
const ATTRIBUTES: u32 = 7;
const LOAD_OPTION_ACTIVE: u32 = 1;
const LONGEST_VARIABLE: u64 = 64 << 10;

/// The boot variables in a directory.
#[derive(Debug, Clone)]
pub struct BootVariables {
    directory: PathBuf,
}

impl BootVariables {
    /// Those of `directory`, usually `/sys/firmware/efi/efivars`.
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// Makes a load option first in the boot order, in the place of those whose description `is_own`. Returns its name.
    /// Fails with what the firmware says.
    pub fn put_first(
        &self,
        description: &str,
        device_path: &[u8],
        is_own: impl Fn(&str) -> bool,
    ) -> io::Result<String> {
        let mut order = self.order();
        let entries = self.entries()?;
        let (own, others): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|(_, description)| description.as_deref().is_some_and(&is_own));
        let free = |number: &u16| others.iter().all(|(used, _)| used != number);
        let number = own.first().map(|(number, _)| *number).or_else(|| (0..=u16::MAX).find(free));
        let number = number.ok_or_else(|| io::Error::other("all boot entries are used"))?;
        self.write(&format!("Boot{number:04X}"), &load_option(description, device_path))?;
        order.retain(|known| *known != number && own.iter().all(|(old, _)| old != known));
        order.insert(0, number);
        self.write("BootOrder", &order.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<_>>())?;
        // Only now that nothing points at them.
        for (old, _) in own.iter().filter(|(old, _)| *old != number) {
            fs::remove_file(self.path(&format!("Boot{old:04X}")))?;
        }
        Ok(format!("Boot{number:04X}"))
    }

    /// The boot order; empty where there is none.
    pub fn order(&self) -> Vec<u16> {
        let value = self.read("BootOrder").unwrap_or_default();
        value.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect()
    }

    /// Numbers of all entries with their descriptions, where these can be read.
    pub fn entries(&self) -> io::Result<Vec<(u16, Option<String>)>> {
        let mut entries = Vec::new();
        for file in fs::read_dir(&self.directory)? {
            let name = file?.file_name().to_string_lossy().into_owned();
            let digits = name.strip_prefix("Boot").and_then(|rest| rest.strip_suffix(&format!("-{VENDOR}")));
            let Some(number) = digits.filter(|d| d.len() == 4).and_then(|d| u16::from_str_radix(d, 16).ok())
            else {
                continue;
            };
            let value = self.read(&format!("Boot{number:04X}"));
            entries.push((number, value.and_then(|value| description(&value))));
        }
        entries.sort();
        Ok(entries)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}-{VENDOR}"))
    }

    fn read(&self, name: &str) -> Option<Vec<u8>> {
        let path = self.path(name);
        if fs::metadata(&path).ok()?.len() > LONGEST_VARIABLE {
            return None;
        }
        fs::read(path).ok()?.get(4..).map(<[u8]>::to_vec)
    }

    fn write(&self, name: &str, value: &[u8]) -> io::Result<()> {
        let mut bytes = ATTRIBUTES.to_le_bytes().to_vec();
        bytes.extend(value);
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(self.path(name))?;
        // efivarfs takes a variable in one write.
        match file.write(&bytes)? {
            count if count == bytes.len() => Ok(()),
            _ => Err(io::ErrorKind::WriteZero.into()),
        }
    }
}

fn load_option(description: &str, device_path: &[u8]) -> Vec<u8> {
    let mut value = LOAD_OPTION_ACTIVE.to_le_bytes().to_vec();
    value.extend((device_path.len() as u16).to_le_bytes());
    value.extend(description.encode_utf16().chain([0]).flat_map(u16::to_le_bytes));
    value.extend(device_path);
    value
}

fn description(value: &[u8]) -> Option<String> {
    let units = value.get(6..)?.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]]));
    Some(String::from_utf16_lossy(&units.take_while(|unit| *unit != 0).collect::<Vec<_>>()))
}
