//! What iPXE is told to do. Pure.

use uuid::Uuid;
use wire::Mac;

use crate::{Artifact, Boot, Machine};

/// The kernel refuses a longer command line (x86: COMMAND_LINE_SIZE), in octets.
const MAX_CMDLINE_BYTES: usize = 2048;

/// How often iPXE tries to fetch kernel and ramdisk; it waits one second more after each failure, 45 in all.
const ATTEMPTS: u32 = 10;

/// Why no script can be made of what the machine is to boot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptError {
    /// The kernel's command line would end the script's line, or is too long.
    #[error(
        "the kernel command line of node {node} can't be given to iPXE: {reason}; change kernel_append_params"
    )]
    Cmdline {
        /// The node.
        node: Uuid,
        /// What is wrong with it.
        reason: String,
    },
    /// A URL would end the script's line.
    #[error("the URL of the {what} of node {node} can't be given to iPXE: {reason}")]
    Url {
        /// The node.
        node: Uuid,
        /// `kernel` or `initramfs`.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

/// The script for a machine. Names without a scheme in it are relative to the script's own URL.
///
/// # Errors
/// [`ScriptError`] when text that came from outside would be read as iPXE's own syntax.
pub(crate) fn render(mac: Mac, machine: &Machine) -> Result<String, ScriptError> {
    let node = machine.node;
    match &machine.boot {
        Boot::LocalDisk => Ok(local_disk(node)),
        Boot::Ramdisk { kernel, initramfs, cmdline } => {
            let kernel = location(node, "kernel", kernel)?;
            let initramfs = location(node, "initramfs", initramfs)?;
            check_cmdline(node, cmdline)?;
            Ok(ramdisk(node, mac, kernel, initramfs, cmdline))
        }
    }
}

/// UEFI goes on to its next boot entry only if a program fails; BIOS leaves it to iPXE to start the disk, which is surer
/// than returning to ROMs that then ask for a key or reboot.
fn local_disk(node: Uuid) -> String {
    format!(
        "#!ipxe\n\
         # node {node} boots from its disk\n\
         iseq ${{platform}} efi && exit 1 ||\n\
         sanboot --no-describe --drive 0x80 || exit 1\n"
    )
}

/// `BOOTIF` tells the ramdisk which port it was booted from, as Ironic's own script does. iPXE's `netX` is the port that
/// it used last; on a machine whose port was named otherwise the one that asked for this script is as good.
fn ramdisk(node: Uuid, mac: Mac, kernel: &str, initramfs: &str, cmdline: &str) -> String {
    let space = if cmdline.is_empty() { "" } else { " " };
    format!(
        "#!ipxe\n\
         # node {node}, port {mac}\n\
         set attempt:int32 1\n\
         :fetch\n\
         imgfree\n\
         kernel --name kernel {kernel} {cmdline}{space}BOOTIF=${{netX/mac}} initrd=initramfs || goto failed\n\
         initrd --name initramfs {initramfs} || goto failed\n\
         boot || goto failed\n\
         :failed\n\
         iseq ${{attempt}} {ATTEMPTS} && goto give_up ||\n\
         echo Attempt ${{attempt}} of {ATTEMPTS} failed, next one in ${{attempt}} seconds\n\
         sleep ${{attempt}}\n\
         inc attempt\n\
         goto fetch\n\
         :give_up\n\
         echo Kernel and ramdisk could not be fetched in {ATTEMPTS} attempts\n\
         exit 1\n"
    )
}

fn location<'a>(node: Uuid, what: &'static str, artifact: &'a Artifact) -> Result<&'a str, ScriptError> {
    match artifact {
        Artifact::File(_) => Ok(what),
        Artifact::Url(url) => {
            let wrong = |reason: &str| ScriptError::Url { node, what, reason: reason.into() };
            // A path is one on the server that the script comes from.
            let is_path = url.starts_with('/') && !url.starts_with("//");
            if !is_path && !url.starts_with("http://") && !url.starts_with("https://") {
                return Err(wrong("it is neither http:// nor https://"));
            }
            if url.len() > 1024 {
                return Err(wrong("it is longer than 1024 octets"));
            }
            // Spaces would begin an argument; dollars and braces would be expanded.
            if !url.bytes().all(|b| b.is_ascii_graphic() && !b"${}\"'\\".contains(&b)) {
                return Err(wrong("it has characters that a URL must write as %xx"));
            }
            Ok(url)
        }
    }
}

fn check_cmdline(node: Uuid, cmdline: &str) -> Result<(), ScriptError> {
    let wrong = |reason: String| Err(ScriptError::Cmdline { node, reason });
    if cmdline.len() > MAX_CMDLINE_BYTES - 64 {
        return wrong(format!("it has {} octets, at most {} fit", cmdline.len(), MAX_CMDLINE_BYTES - 64));
    }
    if cmdline.chars().any(char::is_control) {
        return wrong("it has a line break or another control character".into());
    }
    // iPXE reads these words as its own operators; as parts of longer words they are plain text.
    let operator =
        cmdline.split(' ').find(|word| matches!(*word, "||" | "&&" | ";") || word.starts_with('#'));
    match operator {
        Some(word) => wrong(format!("iPXE would read {word:?} as its own syntax")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Lease;
    use proptest::prelude::*;

    const MAC: Mac = Mac::new([0x52, 0x54, 0, 0x77, 0, 1]);

    fn machine(kernel: Artifact, cmdline: &str) -> Machine {
        Machine {
            node: Uuid::nil(),
            hostname: None,
            lease: Lease::Pool,
            boot: Boot::Ramdisk { kernel, initramfs: Artifact::File("/i".into()), cmdline: cmdline.into() },
        }
    }

    #[test]
    fn the_kernel_line_says_what_ironic_says() {
        let script =
            render(MAC, &machine(Artifact::File("/k".into()), "ipa-api-url=http://10.77.0.1 quiet")).unwrap();
        assert!(script.starts_with("#!ipxe\n"));
        assert!(
            script.contains(
                "\nkernel --name kernel kernel ipa-api-url=http://10.77.0.1 quiet BOOTIF=${netX/mac} initrd=initramfs || goto failed\n"
            ),
            "{script}"
        );
        assert!(script.contains("\ninitrd --name initramfs initramfs || goto failed\n"));
    }

    #[test]
    fn a_url_is_fetched_from_where_it_is() {
        let script = render(MAC, &machine(Artifact::Url("https://images/k?a=1&b".into()), "")).unwrap();
        assert!(script.contains("kernel --name kernel https://images/k?a=1&b BOOTIF="), "{script}");
        let here = render(MAC, &machine(Artifact::Url("/images/k?a=1".into()), "")).unwrap();
        assert!(here.contains("kernel --name kernel /images/k?a=1 BOOTIF="), "{here}");
        for url in [
            "file:///etc/shadow",
            "//a/b",
            "etc/shadow",
            "http://a/ b",
            "http://a/${uuid}",
            "http://a/\nshell",
        ] {
            assert!(render(MAC, &machine(Artifact::Url(url.into()), "")).is_err(), "{url}");
        }
    }

    #[test]
    fn a_command_line_can_not_become_a_command() {
        for cmdline in ["a\nshell", "a || shell", "a && shell", "a ; shell", "a # b", &"x".repeat(2048)] {
            let error = render(MAC, &machine(Artifact::File("/k".into()), cmdline)).unwrap_err();
            assert!(error.to_string().contains("kernel_append_params"), "{error}");
        }
        assert!(
            render(MAC, &machine(Artifact::File("/k".into()), "console=ttyS0,115200;x a#b ${serial}"))
                .is_ok()
        );
    }

    proptest! {
        #[test]
        fn any_accepted_command_line_stays_on_its_line(cmdline in "\\PC{0,200}|[ -~\n\t]{0,200}") {
            if let Ok(script) = render(MAC, &machine(Artifact::File("/k".into()), &cmdline)) {
                let plain = render(MAC, &machine(Artifact::File("/k".into()), "")).unwrap();
                prop_assert_eq!(script.lines().count(), plain.lines().count());
            }
        }
    }
}
