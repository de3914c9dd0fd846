//! Power and boot order of a machine, seen from its serial console.

use std::time::Duration;

use lab::chassis::{BootDevice, BootFlags, Chassis, Control};
use lab::isolation;
use lab::qemu::{Disk, DiskBus, Firmware, Machine, MachineConfig};

const LIMIT: Duration = Duration::from_secs(60);
const NO_OVERRIDE: BootFlags = flags(BootDevice::None, false);

const fn flags(device: BootDevice, persistent: bool) -> BootFlags {
    BootFlags { device, persistent, uefi: false }
}

/// A boot sector that prints "from disk" on the serial port, waits for a byte there and then resets the machine.
fn boot_sector() -> Vec<u8> {
    #[rustfmt::skip]
    let mut code: Vec<u8> = vec![
        0xFA,                   // cli: SeaBIOS's timer handler reads the serial port too
        0x31, 0xC0,             // xor ax, ax
        0x8E, 0xD8,             // mov ds, ax
        0xBE, 0x30, 0x7C,       // mov si, message
        0xAC,                   // print: lodsb
        0x84, 0xC0,             // test al, al
        0x74, 0x06,             // jz wait
        0xBA, 0xF8, 0x03,       // mov dx, 3F8h
        0xEE,                   // out dx, al
        0xEB, 0xF5,             // jmp print
        0xBA, 0xFD, 0x03,       // wait: mov dx, 3FDh
        0xEC,                   // in al, dx
        0xA8, 0x01,             // test al, 1
        0x74, 0xF8,             // jz wait
        0xB0, 0xFE,             // mov al, FEh
        0xE6, 0x64,             // out 64h, al: the keyboard controller's reset line
        0xEB, 0xFE,             // jmp self
    ];
    assert!(code.len() <= 0x30);
    code.resize(0x30, 0);
    code.extend(b"from disk\r\n\0");
    code.resize(510, 0);
    code.extend([0x55, 0xAA]);
    code
}

async fn machine(dir: &std::path::Path, firmware: Firmware) -> Machine {
    let config = MachineConfig {
        name: "node-1".into(),
        uuid: uuid::Uuid::from_u128(1),
        firmware,
        memory_mib: 128,
        mac: "52:54:00:77:00:01".into(),
        tap: None,
        disks: vec![Disk { size_bytes: 1 << 20, bus: DiskBus::Virtio, serial: "S0".into() }],
    };
    let machine = Machine::create(config, dir).await.expect("creating the machine");
    let disk = std::fs::File::options().write(true).open(machine.disk_path(0)).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&disk, &boot_sector(), 0).unwrap();
    machine
}

fn in_rack<F: Future<Output = ()>>(name: &str, body: impl FnOnce() -> F) {
    isolation::test(name, || {
        tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(body());
    });
}

#[test]
fn power_and_reset() {
    in_rack("machine::power_and_reset", || async {
        let dir = tempfile::tempdir().unwrap();
        let machine = machine(dir.path(), Firmware::Bios).await;
        assert!(!machine.is_on().await.unwrap());
        machine
            .control(Control::HardReset, NO_OVERRIDE)
            .await
            .expect_err("a machine that is off can't be reset");
        machine.control(Control::PowerDown, NO_OVERRIDE).await.expect("off is off already");

        machine.control(Control::PowerUp, NO_OVERRIDE).await.unwrap();
        assert!(machine.is_on().await.unwrap());
        assert_eq!(*machine.boots().borrow(), 1);
        let mark = machine.console().wait_for("from disk", 0, LIMIT).await.unwrap();
        machine.control(Control::PowerUp, NO_OVERRIDE).await.expect("on is on already");
        assert_eq!(*machine.boots().borrow(), 1, "no new boot");

        machine.control(Control::HardReset, NO_OVERRIDE).await.unwrap();
        assert_eq!(*machine.boots().borrow(), 2);
        machine.console().wait_for("from disk", mark, LIMIT).await.unwrap();

        machine.control(Control::PowerDown, NO_OVERRIDE).await.unwrap();
        assert!(!machine.is_on().await.unwrap());
    });
}

#[test]
fn one_shot_flags_last_one_boot_and_persistent_ones_stay() {
    in_rack("machine::one_shot_flags_last_one_boot_and_persistent_ones_stay", || async {
        let dir = tempfile::tempdir().unwrap();
        let machine = machine(dir.path(), Firmware::Bios).await;
        let console = machine.console();
        machine.control(Control::PowerUp, flags(BootDevice::Pxe, false)).await.unwrap();
        // The card has no cable: iPXE says so and SeaBIOS goes on with the disk.
        let mark = console.wait_for("iPXE", 0, LIMIT).await.unwrap();
        let mark = console.wait_for("from disk", mark, LIMIT).await.unwrap();

        // The guest resets the machine itself: the one-shot flag is used up, so that the disk comes first.
        let mut boots = machine.boots();
        boots.mark_unchanged();
        console.type_in("r");
        tokio::time::timeout(LIMIT, boots.changed()).await.expect("the guest's reset is a boot").unwrap();
        assert_eq!(*boots.borrow(), 2);
        let end = console.wait_for("from disk", mark, LIMIT).await.unwrap();
        let log = std::fs::read(console.path()).unwrap();
        let second =
            String::from_utf8_lossy(&log[usize::try_from(mark).unwrap()..usize::try_from(end).unwrap()])
                .into_owned();
        assert!(!second.contains("Booting from ROM"), "network was tried first again:\n{second}");
        assert!(machine.is_on().await.unwrap());

        // Changed while the machine runs, it counts at the next boot, and stays.
        machine.boot_flags_changed(flags(BootDevice::Pxe, true)).await.unwrap();
        console.type_in("r");
        let mark = console.wait_for("Booting from ROM", end, LIMIT).await.unwrap();
        machine.control(Control::HardReset, flags(BootDevice::Pxe, true)).await.unwrap();
        console.wait_for("Booting from ROM", mark, LIMIT).await.unwrap();
    });
}

#[test]
fn uefi_tries_the_network_first_when_told_to() {
    in_rack("machine::uefi_tries_the_network_first_when_told_to", || async {
        let dir = tempfile::tempdir().unwrap();
        lab::network::configure(1).unwrap();
        let mut config = machine(dir.path(), Firmware::Uefi).await.config().clone();
        config.tap = Some(lab::network::tap(0));
        let machine = Machine::create(config, dir.path()).await.unwrap();
        machine.control(Control::PowerUp, flags(BootDevice::Pxe, false)).await.unwrap();
        machine.console().wait_for("Start PXE over IPv4", 0, LIMIT).await.unwrap();
    });
}

#[test]
fn a_qemu_that_can_not_start_is_a_power_error() {
    in_rack("machine::a_qemu_that_can_not_start_is_a_power_error", || async {
        let dir = tempfile::tempdir().unwrap();
        let mut config = machine(dir.path(), Firmware::Bios).await.config().clone();
        config.tap = Some("no-such-tap0".into());
        config.mac = "not a MAC".into();
        let machine = Machine::create(config, dir.path()).await.unwrap();
        let error = machine.control(Control::PowerUp, NO_OVERRIDE).await.unwrap_err();
        assert!(error.contains("qemu-system-x86_64") && error.contains("mac"), "{error}");
        assert!(!machine.is_on().await.unwrap());
    });
}
