//! What an image is, told by its bytes and not by its declaration.
//!
//! Ironic's "deep inspection" (oslo.utils `imageutils.format_inspector`): an image that is declared raw but begins with
//! another format's magic would hand the tenant's bytes to whoever opens it next with format probing. So the declared
//! format must be what the content says.

use crate::error::{Error, Result};

/// How many bytes from an image's start [`detect`] wants to see: ISO 9660's first volume descriptor is the deepest.
pub const SNIFF_LENGTH: usize = 0x9000;

/// Formats that can be written to a disk: Ironic's `permitted_image_formats`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A disk's bytes, or a file system's.
    Raw,
    /// A disk's bytes that begin with a partition table: raw, more precisely said.
    Gpt,
    /// A CD image, written as it is.
    Iso,
    /// QEMU copy on write, versions 2 and 3.
    Qcow2,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Raw, Self::Gpt, Self::Iso, Self::Qcow2];

    /// The name as Glance's `disk_format` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Gpt => "gpt",
            Self::Iso => "iso",
            Self::Qcow2 => "qcow2",
        }
    }

    /// Reads Glance's `disk_format`. Errors: [`Error::Image`] for a format that can't be written to a disk.
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|f| f.name() == name).ok_or_else(|| {
            let name: String = name.chars().take(40).collect();
            Error::image(format!("disk_format {name:?} can't be written to a disk"), CONVERT)
        })
    }
}

/// What an image's first bytes show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// One of the formats that can be written.
    Known(Format),
    /// A format that can't be written, by name.
    Foreign(&'static str),
}

impl Content {
    /// The format's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Known(format) => format.name(),
            Self::Foreign(name) => name,
        }
    }
}

pub(crate) const CONVERT: &str =
    "convert the image with `qemu-img convert -O qcow2` (or -O raw) and upload it again";
const DECLARE: &str = "correct the image's disk_format, or upload what it says";
const PERMIT: &str = "convert the image, or add the format to the permitted ones in the configuration";

/// Magic numbers at fixed offsets. Compressed files are here as no disk can boot from one: it is an image that someone
/// forgot to unpack.
const MAGICS: &[(usize, &[u8], &str)] = &[
    (0, b"QFI\xfb\0\0\0\x01", "qcow"),
    (0, b"QED\0", "qed"),
    (0, b"KDMV", "vmdk"),
    (0, b"COWD", "vmdk"),
    (0, b"# Disk DescriptorFile", "vmdk"),
    (0, b"conectix", "vhd"),
    (0, b"vhdxfile", "vhdx"),
    (0x40, b"\x7f\x10\xda\xbe", "vdi"),
    (0, b"LUKS\xba\xbe", "luks"),
    (0, b"WithoutFreeSpace", "parallels"),
    (0, b"WithouFreSpacExt", "parallels"),
    (0, b"Bochs Virtual HD Image", "bochs"),
    (0, b"\x1f\x8b\x08", "gzip"),
    (0, b"\xfd7zXZ\0", "xz"),
    (0, b"\x28\xb5\x2f\xfd", "zstd"),
    (0, b"BZh", "bzip2"),
    (0, b"PK\x03\x04", "zip"),
];

/// Tells an image's format by its first [`SNIFF_LENGTH`] bytes (fewer if it is shorter). Anything without a magic is raw.
pub fn detect(head: &[u8]) -> Content {
    let has = |offset: usize, magic: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    if let Some((_, _, name)) = MAGICS.iter().find(|(offset, magic, _)| has(*offset, magic)) {
        return Content::Foreign(name);
    }
    if has(0, b"QFI\xfb") {
        return Content::Known(Format::Qcow2);
    }
    // A hybrid ISO carries a partition table too; it is an ISO first.
    if has(0x8001, b"CD001") {
        return Content::Known(Format::Iso);
    }
    let is_protective = |slot: usize| head.get(446 + 16 * slot + 4) == Some(&0xee);
    if has(510, b"\x55\xaa") && ((0..4).any(is_protective) || has(512, b"EFI PART") || has(4096, b"EFI PART"))
    {
        return Content::Known(Format::Gpt);
    }
    Content::Known(Format::Raw)
}

/// Compares what was declared with what is there. Returns the format to write by. Errors: [`Error::Image`] if they
/// contradict each other or the format is not permitted.
pub(crate) fn admit(content: Content, declared: Option<Format>, permitted: &[Format]) -> Result<Format> {
    let actual = match content {
        Content::Known(format) => format,
        Content::Foreign(name) => {
            let declared = declared.map_or(String::new(), |d| format!("declared as {} but ", d.name()));
            return Err(Error::image(format!("it is {declared}a {name} file by its content"), CONVERT));
        }
    };
    // A partition table at the start makes raw bytes no less raw, and a boot sector without one no less a disk's.
    let is_flat = |f: Format| matches!(f, Format::Raw | Format::Gpt);
    match declared {
        Some(d) if d != actual && !(is_flat(d) && is_flat(actual)) => {
            return Err(Error::image(
                format!("it is declared as {} but {} by its content", d.name(), actual.name()),
                DECLARE,
            ));
        }
        _ => {}
    }
    // Who permits raw permits it with a partition table too.
    let is_permitted = |f: Format| permitted.contains(&f) || (is_flat(f) && permitted.contains(&Format::Raw));
    if !is_permitted(actual) {
        return Err(Error::image(format!("format {} is not permitted here", actual.name()), PERMIT));
    }
    Ok(actual)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head_with(parts: &[(usize, &[u8])]) -> Vec<u8> {
        let mut head = vec![0; SNIFF_LENGTH];
        for (offset, bytes) in parts {
            head[*offset..offset + bytes.len()].copy_from_slice(bytes);
        }
        head
    }

    #[test]
    fn every_magic_is_seen_and_refused_as_raw() {
        for (offset, magic, name) in MAGICS {
            let content = detect(&head_with(&[(*offset, magic)]));
            assert_eq!(content, Content::Foreign(name));
            let error = admit(content, Some(Format::Raw), &Format::ALL).unwrap_err().to_string();
            assert!(error.contains("declared as raw but") && error.contains(name), "{error}");
        }
    }

    #[test]
    fn known_formats() {
        let boot_sector: &[(usize, &[u8])] = &[(510, b"\x55\xaa")];
        assert_eq!(detect(&head_with(boot_sector)), Content::Known(Format::Raw));
        assert_eq!(detect(&head_with(&[(510, b"\x55\xaa"), (450, b"\xee")])), Content::Known(Format::Gpt));
        assert_eq!(
            detect(&head_with(&[(0x8001, b"CD001"), (510, b"\x55\xaa"), (450, b"\xee")])).name(),
            "iso"
        );
        assert_eq!(detect(&head_with(&[(0, b"QFI\xfb\0\0\0\x03")])), Content::Known(Format::Qcow2));
        assert_eq!(detect(b""), Content::Known(Format::Raw));
    }

    #[test]
    fn declarations_must_fit() {
        let raw = Content::Known(Format::Raw);
        let gpt = Content::Known(Format::Gpt);
        let qcow2 = Content::Known(Format::Qcow2);
        assert_eq!(admit(gpt, Some(Format::Raw), &[Format::Raw]).unwrap(), Format::Gpt);
        assert_eq!(admit(gpt, None, &[Format::Raw]).unwrap(), Format::Gpt);
        assert_eq!(admit(qcow2, None, &Format::ALL).unwrap(), Format::Qcow2);
        assert!(admit(qcow2, Some(Format::Raw), &Format::ALL).is_err());
        assert!(admit(raw, Some(Format::Qcow2), &Format::ALL).is_err());
        assert!(admit(Content::Known(Format::Iso), Some(Format::Raw), &Format::ALL).is_err());
        assert!(admit(qcow2, Some(Format::Qcow2), &[Format::Raw]).is_err());
        assert!(admit(raw, None, &[Format::Qcow2]).is_err());
    }
}
