//! What a kernel module says of itself: the `.modinfo` section of its ELF file.
//!
//! Debian's packages bring no `modules.dep` (their post-installation script makes it), but it is made of nothing else.

/// Of a module, what loading needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ModInfo {
    /// Modules that must be loaded before, by name.
    pub depends: Vec<String>,
    /// Patterns of devices that it drives.
    pub aliases: Vec<String>,
}

/// Reads the section; `None` where the bytes are no ELF object with one.
pub(crate) fn read(bytes: &[u8]) -> Option<ModInfo> {
    let section = sections(bytes)?.into_iter().find(|(name, _)| name == b".modinfo")?.1;
    let mut info = ModInfo::default();
    for entry in section.split(|byte| *byte == 0) {
        let text = String::from_utf8_lossy(entry);
        match text.split_once('=') {
            Some(("depends", names)) => {
                info.depends.extend(names.split(',').filter(|name| !name.is_empty()).map(normal_name));
            }
            // The table of devices is written by depmod's rules, and so are the patterns here.
            Some(("alias", pattern)) if !pattern.contains(char::is_whitespace) => {
                info.aliases.push(pattern.to_owned());
            }
            _ => {}
        }
    }
    Some(info)
}

/// `-` and `_` are one in modules' names.
pub(crate) fn normal_name(name: &str) -> String {
    name.replace('-', "_")
}

/// Whether a program asks for a dynamic linker; `None` where it is no ELF program of this kind.
pub(crate) fn has_interpreter(bytes: &[u8]) -> Option<bool> {
    const PT_INTERP: u32 = 3;
    let (start, size, count) = (long(bytes, 32)?, word(bytes, 54)?, word(bytes, 56)?);
    if !is_elf(bytes) || count == 0 {
        return None;
    }
    for index in 0..u64::from(count) {
        let at = usize::try_from(start.checked_add(index * u64::from(size))?).ok()?;
        let kind = bytes.get(at..at.checked_add(4)?)?;
        if u32::from_le_bytes(kind.try_into().ok()?) == PT_INTERP {
            return Some(true);
        }
    }
    Some(false)
}

fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF\x02\x01")
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn int(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

/// All sections with their names (ELF-64 object file format 1.5).
fn sections(bytes: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    if !is_elf(bytes) {
        return None;
    }
    let start = usize::try_from(long(bytes, 40)?).ok()?;
    let (size, count, names) = (usize::from(word(bytes, 58)?), word(bytes, 60)?, word(bytes, 62)?);
    let header = |index: u16| bytes.get(start.checked_add(usize::from(index).checked_mul(size)?)?..);
    let content = |header: &[u8]| {
        let from = usize::try_from(long(header, 24)?).ok()?;
        let length = usize::try_from(long(header, 32)?).ok()?;
        bytes.get(from..from.checked_add(length)?)
    };
    let names = content(header(names)?)?;
    let mut found = Vec::new();
    for index in 0..count {
        let header = header(index)?;
        let name = names.get(int(header, 0)? as usize..)?.split(|byte| *byte == 0).next()?;
        // Sections without content in the file.
        const SHT_NOBITS: u32 = 8;
        if int(header, 4)? != SHT_NOBITS {
            found.push((name, content(header)?));
        }
    }
    Some(found)
}
