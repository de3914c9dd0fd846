//! Real firmware under QEMU. Slow under software emulation, so only on demand:
//! `cargo nextest run -p netboot --run-ignored only`. Needs qemu-system-x86, ovmf, ipxe and ipxe-qemu of Debian.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use netboot::{Client, MemoryLeases, Observation, Seen};

use crate::place::{Place, Running};
use crate::source::{Known, MAC, ramdisk};

const LIMIT: Duration = Duration::from_secs(180);

struct Machine(Child);

impl Drop for Machine {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

// iPXE itself, in the forms that a kernel has: what Debian's package brings along.
const BIOS_KERNEL: &str = "/boot/ipxe.lkrn";
const UEFI_KERNEL: &str = "/boot/ipxe.efi";

/// Boots a machine until it has fetched kernel and initramfs, and returns what was seen.
fn boot(kernel: &str, qemu: &[&str]) -> Vec<Observation> {
    let place = Place::new();
    for line in [
        "ip link add br0 type bridge stp_state 0 forward_delay 0",
        "ip address add 10.99.0.1/24 dev br0",
        "ip link set br0 up",
        "ip tuntap add tap0 mode tap",
        "ip link set tap0 master br0 up",
    ] {
        place.command(line);
    }
    let dir = tempfile::tempdir().unwrap();
    let initramfs = dir.path().join("initramfs");
    std::fs::write(&initramfs, vec![0; 100_000]).unwrap();
    let source = Known::new([(MAC, ramdisk(Path::new(kernel), &initramfs))]);
    let variables = dir.path().join("vars.fd");
    std::fs::copy("/usr/share/OVMF/OVMF_VARS_4M.fd", &variables).unwrap();
    let arguments: Vec<String> = qemu
        .iter()
        .map(|a| a.replace("VARS", &variables.display().to_string()).replace("MAC", &MAC.to_string()))
        .collect();
    let machine = place.run(move || {
        Command::new("qemu-system-x86_64")
            .args(["-accel", "tcg,tb-size=128", "-m", "256", "-nographic", "-no-reboot"])
            .args(["-netdev", "tap,id=n0,ifname=tap0,script=no,downscript=no"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map(Machine)
            .unwrap_or_else(|error| panic!("qemu-system-x86_64 can't be run (installed?): {error}"))
    });
    let powered = Instant::now();
    let leases = Arc::new(MemoryLeases::default());
    let _running = Running::start(&place, "br0", vec![], Path::new("/usr/lib/ipxe"), source.clone(), leases);
    source.wait(LIMIT, |s| matches!(s, Seen::ScriptServed));
    println!("power-on to script: {:.1} s", powered.elapsed().as_secs_f64());
    source.wait(LIMIT, |s| matches!(s, Seen::FetchFinished { what, .. } if what == "kernel"));
    source.wait(LIMIT, |s| matches!(s, Seen::FetchFinished { what, .. } if what == "initramfs"));
    println!("power-on to initramfs: {:.1} s", powered.elapsed().as_secs_f64());
    drop(machine);
    source.seen()
}

fn clients(seen: &[Observation]) -> Vec<Client> {
    let mut clients: Vec<Client> = seen
        .iter()
        .filter_map(|o| match &o.seen {
            Seen::Leased(offer) => Some(offer.client),
            _ => None,
        })
        .collect();
    clients.dedup();
    clients
}

const OVMF: [&str; 6] = [
    "-M",
    "q35",
    "-drive",
    "if=pflash,format=raw,unit=0,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd",
    "-drive",
    "if=pflash,format=raw,unit=1,file=VARS",
];

#[test]
#[ignore = "boots QEMU under software emulation"]
fn netns_bios_ipxe_rom() {
    let seen =
        boot(BIOS_KERNEL, &["-M", "pc", "-device", "virtio-net-pci,netdev=n0,mac=MAC", "-boot", "order=n"]);
    assert_eq!(clients(&seen), [Client::Ipxe]);
}

#[test]
#[ignore = "boots QEMU under software emulation"]
fn netns_uefi_pxe() {
    let mut arguments = OVMF.to_vec();
    arguments.extend(["-device", "virtio-net-pci,netdev=n0,mac=MAC,romfile="]);
    let seen = boot(UEFI_KERNEL, &arguments);
    assert_eq!(clients(&seen), [Client::Pxe(wire::dhcp::Arch::X64), Client::Ipxe]);
    assert!(seen.iter().any(|o| matches!(&o.seen, Seen::TftpFinished { file, .. } if file == "snponly.efi")));
}

#[test]
#[ignore = "boots QEMU under software emulation"]
fn netns_uefi_http_boot() {
    let mut arguments = OVMF.to_vec();
    arguments.extend(["-device", "virtio-net-pci,netdev=n0,mac=MAC,romfile="]);
    for off in [
        "name=opt/org.tianocore/IPv4PXESupport,string=no",
        "name=opt/org.tianocore/IPv6PXESupport,string=no",
        "name=opt/org.tianocore/IPv6Support,string=no",
    ] {
        arguments.extend(["-fw_cfg", off]);
    }
    let seen = boot(UEFI_KERNEL, &arguments);
    assert_eq!(clients(&seen), [Client::HttpBoot(wire::dhcp::Arch::X64Http), Client::Ipxe]);
}
