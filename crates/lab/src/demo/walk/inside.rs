//! What is looked at on the machine itself, by `ssh`.

use super::{CALL_LIMIT, Clients, SERVER, Walk, is};
use crate::demo::{Limits, Login};
use crate::error::{Error, Result};
use crate::rack::Node;

/// Where a machine asks what it is.
const METADATA: &str = "http://169.254.169.254/openstack/latest/meta_data.json";

impl Walk<'_> {
    /// Logs in, looks who and where one is, and returns the boot's identity.
    pub(super) async fn visit(
        &mut self,
        node: &Node,
        login: &Login,
        limits: Limits,
        last_boot: Option<&str>,
    ) -> Result<String> {
        let step = self.step(&format!("ssh -i {} {}@{}", login.key.display(), login.user, login.address));
        let ask = "hostname; id -un; cat /proc/sys/kernel/random/boot_id";
        let is_other_boot = |said: &str| said.lines().nth(2).is_some_and(|boot| Some(boot) != last_boot);
        let said = login.until(&node.machine, &step.0, limits.boot, ask, is_other_boot).await?;
        let words: Vec<&str> = said.split_whitespace().collect();
        let [host, user, boot] = words[..] else {
            return Err(Error::Invalid(format!("`{ask}` by ssh should print three words, not {said:?}")));
        };
        // cloud-init may give a machine its full name.
        if host.split('.').next() != Some(SERVER) || user != login.user {
            return Err(Error::Invalid(format!(
                "host name and user should be {SERVER} and {}, but are {host} and {user}",
                login.user
            )));
        }
        self.end(
            step,
            if last_boot.is_some() { "reboot to ssh" } else { "boot to ssh" },
            &format!("{user} on {host}"),
        );
        Ok(boot.to_string())
    }

    /// The machine asks for its metadata over the network, and is told what the compute service says of its server.
    pub(super) async fn ask_metadata(&mut self, login: &Login) -> Result<()> {
        let step = self.step(&format!("It asks what it is: {METADATA}"));
        let line = format!("openstack server show {SERVER} -f value -c id");
        let server = self.types_with(Clients::Today, &step.0, &line, CALL_LIMIT).await?;
        let server = server.trim();
        // The tiny system has busybox, Debian's has what cloud-init runs on.
        let ask = format!(
            "wget -q -O - {METADATA} || python3 -c \"import urllib.request as r; print(r.urlopen('{METADATA}').read().decode())\""
        );
        let said = login.run(&ask).await?;
        let told: serde_json::Value = serde_json::from_str(&said).map_err(|error| {
            Error::Invalid(format!("{METADATA} should answer with JSON ({error}), not {said}"))
        })?;
        let told = |key: &str| told[key].as_str().unwrap_or_default();
        is("the uuid that the machine is told", told("uuid"), server)?;
        is("the host name that the machine is told", told("hostname"), SERVER)?;
        self.end(step, "metadata", &format!("{} is {server}", told("hostname")));
        Ok(())
    }

    /// A root file system that was grown, swap that the kernel takes, and an ephemeral file system that can be mounted and written: the
    /// user data ([`look_by_user_data`]) has looked.
    pub(super) async fn look_at_partitions(
        &mut self,
        node: &Node,
        login: &Login,
        limits: Limits,
    ) -> Result<()> {
        let step =
            self.step("Its disk is the flavor's: the root file system grown, swap, an ephemeral file system");
        let read = format!("cat {SEEN} 2> /dev/null || true");
        let said = login.until(&node.machine, &step.0, limits.boot, &read, |said| !said.is_empty()).await?;
        step.0.shows("", &said);
        let lines: Vec<&str> = said.lines().collect();
        let [command_line, root, swap, ephemeral] = lines[..] else {
            return Err(Error::Invalid(format!("four lines should tell of its partitions, not {said}")));
        };
        let number = |line: &str, column: usize| {
            line.split_whitespace().nth(column).and_then(|word| word.parse::<u64>().ok()).unwrap_or_default()
        };
        // `/proc/swaps` counts KiB, and a page of the partition is the signature.
        if number(swap, 2) != SWAP_MIB * 1024 - 4 {
            return Err(Error::Invalid(format!("the swap should have {SWAP_MIB} MiB, but is {swap:?}")));
        }
        for (name, line, gib) in [("root", root, ROOT_GIB), ("ephemeral", ephemeral, EPHEMERAL_GIB)] {
            // The file system's own tables take a share.
            if !(gib * 1024 * 8 / 10..=gib * 1024).contains(&number(line, 1)) {
                let problem = format!("the {name} file system should have {gib} GiB, but is {line:?}");
                return Err(Error::Invalid(problem));
            }
        }
        if !command_line.contains("root=UUID=") {
            return Err(Error::Invalid(format!(
                "it should have booted with root=UUID=…, not {command_line}"
            )));
        }
        // What the server's boot script adds for the ramdisks that it starts.
        let way = if command_line.contains("BOOTIF=") { "over the network" } else { "from its disk" };
        let sizes =
            format!("root {ROOT_GIB} GiB, swap {SWAP_MIB} MiB, ephemeral {EPHEMERAL_GIB} GiB; booted {way}");
        self.end(step, "partitions", &sizes);
        Ok(())
    }
}

/// Root partition of the flavor of today's walk with a partition image.
pub(super) const ROOT_GIB: u64 = 4;
/// Swap there.
pub(super) const SWAP_MIB: u64 = 128;
/// The ephemeral file system's partition there.
pub(super) const EPHEMERAL_GIB: u64 = 1;

/// Where what was seen of the partitions is written, at once.
const SEEN: &str = "/run/walk-partitions";

/// Lines for user data, which runs as root: finds the swap by its signature, since Debian's busybox has no `blkid`, and switches it on unless
/// the system has done so; mounts the ephemeral file system, writes to it and reads that back. Left are the kernel's command line, a line
/// of `df` for the root file system, one of `/proc/swaps`, one of `df` for the ephemeral file system; and whatever complained.
pub(super) fn look_by_user_data() -> String {
    format!("look() {{\n{LOOK}\n}}\nlook > {SEEN}.new 2>&1\nmv {SEEN}.new {SEEN}\n")
}

const LOOK: &str = r#"cat /proc/cmdline
df -P -m / | tail -n 1
for partition in /dev/vda?; do
    [ "$(dd if=$partition bs=1 skip=4086 count=10 2> /dev/null)" = SWAPSPACE2 ] && swap=$partition
done
grep -q "^$swap " /proc/swaps || swapon "$swap"
grep "^$swap " /proc/swaps
mkdir -p /run/ephemeral
mount -t ext4 "$(findfs LABEL=ephemeral0)" /run/ephemeral
echo lodged > /run/ephemeral/word
sync
grep -q lodged /run/ephemeral/word && df -P -m /run/ephemeral | tail -n 1
umount /run/ephemeral"#;
