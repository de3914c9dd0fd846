use super::*;
use std::fs;
use std::os::unix::fs::symlink;

fn put(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A server with an NVMe disk, a SATA disk, a write-protected virtual USB medium, a CD drive and one virtio interface.
fn server() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let nvme = "sys/devices/pci0000:00/0000:00:1d.0/0000:01:00.0/nvme/nvme0/nvme0n1";
    put(root, &format!("{nvme}/size"), "1953525168\n");
    put(root, &format!("{nvme}/wwid"), "eui.0025385b01234567\n");
    put(root, &format!("{nvme}/queue/rotational"), "0\n");
    put(root, &format!("{nvme}/queue/discard_max_bytes"), "2199023255040\n");
    put(root, &format!("{nvme}/queue/logical_block_size"), "512\n");
    put(root, "sys/devices/pci0000:00/0000:00:1d.0/0000:01:00.0/nvme/nvme0/model", "SAMSUNG MZVL2  \n");
    put(root, "sys/devices/pci0000:00/0000:00:1d.0/0000:01:00.0/nvme/nvme0/serial", "S64ENX0T \n");
    let ata = "sys/devices/pci0000:00/0000:00:17.0/ata3";
    let sda = format!("{ata}/host2/target2:0:0/2:0:0:0/block/sda");
    put(root, &format!("{ata}/ata_port/ata3/port_no"), "1\n");
    put(root, &format!("{sda}/size"), "8388608\n");
    put(root, &format!("{sda}/ro"), "0\n");
    put(root, &format!("{ata}/host2/target2:0:0/2:0:0:0/wwid"), "naa.5000c500a1b2c3d4\n");
    put(root, &format!("{ata}/host2/target2:0:0/2:0:0:0/vpd_pg80"), "\0\u{1}\0\u{8}  ZA1B2C");
    let usb = "sys/devices/pci0000:00/0000:00:14.0/usb1/1-1/host4/target4:0:0/4:0:0:0/block/sdb";
    put(root, &format!("{usb}/size"), "4096\n");
    put(root, &format!("{usb}/ro"), "1\n");
    for (name, place) in [("nvme0n1", nvme), ("sda", &sda), ("sdb", usb)] {
        fs::create_dir_all(root.join("sys/block")).unwrap();
        symlink(root.join(place), root.join("sys/block").join(name)).unwrap();
    }
    symlink(root.join(nvme).parent().unwrap(), root.join(nvme).join("device")).unwrap();
    for place in [&sda[..], usb] {
        symlink(root.join(place).parent().unwrap().parent().unwrap(), root.join(place).join("device"))
            .unwrap();
    }
    put(root, "sys/block/sr0/size", "2097151\n");
    put(root, "sys/block/sdc/size", "0\n");
    let net = "sys/devices/pci0000:00/0000:00:03.0/virtio0";
    put(root, &format!("{net}/vendor"), "0x1af4\n");
    put(root, "sys/class/net/eth0/type", "1\n");
    put(root, "sys/class/net/eth0/address", "52:54:00:77:00:01\n");
    put(root, "sys/class/net/eth0/carrier", "1\n");
    symlink(root.join(net), root.join("sys/class/net/eth0/device")).unwrap();
    put(root, "sys/class/net/br0/type", "1\n");
    put(root, "sys/class/net/br0/address", "52:54:00:77:00:ff\n");
    put(root, "sys/class/dmi/id/product_name", "PowerEdge R650\n");
    put(root, "proc/meminfo", "MemTotal:       65536000 kB\nMemFree: 1 kB\n");
    put(
        root,
        "proc/cpuinfo",
        "processor : 0\nmodel name : Xeon\ncpu MHz : 2400.0\nflags : fpu aes\nphysical id : 0\n\nprocessor : 1\nphysical id : 1\n",
    );
    fs::create_dir_all(root.join("sys/firmware/efi")).unwrap();
    dir
}

#[test]
fn disks_carry_udevs_identifiers() {
    let dir = server();
    let machine = Machine::new(dir.path().to_owned(), None);
    let disks = machine.disks();
    let names: Vec<String> =
        disks.iter().map(|d| d.path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    assert_eq!(names, ["sda", "sdb", "nvme0n1"]);
    let nvme = &disks[2];
    assert_eq!((nvme.disk.size, nvme.disk.model.as_deref()), (1_000_204_886_016, Some("SAMSUNG MZVL2")));
    assert_eq!(nvme.disk.serial.first(), Some("S64ENX0T"));
    assert_eq!(nvme.disk.wwn.first(), Some("eui.0025385b01234567"));
    assert_eq!(nvme.disk.by_path.as_deref(), Some("/dev/disk/by-path/pci-0000:01:00.0-nvme-1"));
    assert!(nvme.can_discard && !nvme.is_read_only);
    let sda = &disks[0].disk;
    assert_eq!((sda.wwn.first(), sda.hctl.as_deref()), (Some("0x5000c500a1b2c3d4"), Some("2:0:0:0")));
    assert_eq!((sda.serial.first(), sda.tran.as_deref()), (Some("ZA1B2C"), Some("sata")));
    assert_eq!(sda.by_path.as_deref(), Some("/dev/disk/by-path/pci-0000:00:17.0-ata-1"));
    assert!(disks[1].is_read_only);
    assert_eq!(disks[1].disk.tran.as_deref(), Some("usb"));
}

#[test]
fn inventory_is_that_of_the_machine() {
    let dir = server();
    let inventory = Machine::new(dir.path().to_owned(), None).inventory(Some("52:54:00:77:00:01"), true);
    assert_eq!(inventory.interfaces.len(), 1, "a bridge is no hardware");
    let nic = &inventory.interfaces[0];
    assert_eq!((nic.name.as_str(), nic.pci_address.as_deref()), ("eth0", Some("0000:00:03.0")));
    assert_eq!((nic.vendor.as_deref(), nic.has_carrier), (Some("0x1af4"), Some(true)));
    assert_eq!((inventory.cpu.count, inventory.cpu.socket_count), (2, Some(2)));
    assert_eq!(inventory.memory.total, Some(65_536_000 * 1024));
    assert_eq!(inventory.system_vendor.product_name, "PowerEdge R650");
    assert_eq!(inventory.boot.current_boot_mode.as_deref(), Some("uefi"));
    assert_eq!(inventory.bmc_address, None);
}

#[test]
fn a_machine_without_anything_is_empty_but_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let inventory = Machine::new(dir.path().to_owned(), None).inventory(None, true);
    assert!(inventory.disks.is_empty() && inventory.interfaces.is_empty());
    assert_eq!(inventory.boot.current_boot_mode.as_deref(), Some("bios"));
}
