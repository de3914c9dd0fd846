use super::*;
use std::fs;
use std::process::Command;

/// An ELF object with a `.modinfo` section.
fn module(modinfo: &[&str]) -> Vec<u8> {
    let info: Vec<u8> = modinfo.iter().flat_map(|text| text.bytes().chain([0])).collect();
    let names = b"\0.modinfo\0.names\0";
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(64, 0);
    let info_at = bytes.len() as u64;
    bytes.extend(&info);
    let names_at = bytes.len() as u64;
    bytes.extend(names);
    bytes[40..48].copy_from_slice(&(names_at + names.len() as u64).to_le_bytes());
    bytes[58..64].copy_from_slice(&[64, 0, 3, 0, 2, 0]);
    for (name, kind, at, length) in
        [(0u32, 0u32, 0, 0), (1, 1, info_at, info.len() as u64), (10, 3, names_at, names.len() as u64)]
    {
        let mut header = [0u8; 64];
        header[..4].copy_from_slice(&name.to_le_bytes());
        header[4..8].copy_from_slice(&kind.to_le_bytes());
        header[24..32].copy_from_slice(&at.to_le_bytes());
        header[32..40].copy_from_slice(&length.to_le_bytes());
        bytes.extend(header);
    }
    bytes
}

/// A program with one segment: loadable, or the name of an interpreter.
fn program(segment: u32) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(64 + 56, 0);
    bytes[32] = 64;
    bytes[54] = 56;
    bytes[56] = 1;
    bytes[64..68].copy_from_slice(&segment.to_le_bytes());
    bytes
}

struct World {
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let world = Self { dir: tempfile::tempdir().unwrap() };
        let base = "tree/lib/modules/6.1.0-56-cloud-amd64";
        world.put("tree/boot/vmlinuz-6.1.0-9-cloud-amd64", b"old");
        world.put("tree/boot/vmlinuz-6.1.0-56-cloud-amd64", b"kernel");
        world.put("tree/boot/config-6.1.0-56-cloud-amd64", b"CONFIG_RD_GZIP=y\nCONFIG_RD_ZSTD=y\n");
        world.put(&format!("{base}/modules.builtin"), b"kernel/drivers/nvme/host/nvme-core.ko\n");
        let modules: [(&str, &[&str]); 4] = [
            ("virtio/virtio.ko", &["license=GPL"]),
            ("virtio/virtio-ring.ko", &["depends="]),
            ("net/virtio_net.ko", &["alias=virtio:d00000001v*", "depends=virtio-ring,virtio,nvme_core"]),
            ("fs/efivarfs.ko", &["alias=fs-efivarfs"]),
        ];
        for (path, info) in modules {
            world.put(&format!("{base}/kernel/{path}"), &module(info));
        }
        world.put("agent", &program(1));
        world.put("list", b"# comment\nvirtio-net\nnvme-core\nefivarfs load # more\nfancy optional\n");
        world
    }

    fn put(&self, path: &str, content: &[u8]) {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn options(&self) -> BuildOptions {
        let path = |name: &str| self.dir.path().join(name);
        BuildOptions {
            kernel: KernelSource::Tree(path("tree")),
            modules: Modules::File(path("list")),
            agent: path("agent"),
            ca: None,
            compression: Compression::None,
            output: path("out/deep"),
        }
    }
}

/// The archive as cpio(1) sees it: a peer's opinion.
fn listing(archive: &Path) -> Vec<String> {
    let file = fs::File::open(archive).unwrap();
    let output =
        Command::new("cpio").args(["-tv", "--quiet", "-n"]).stdin(file).env("TZ", "UTC").output().unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn modules_come_with_their_dependencies_and_the_table_says_how_to_load_them() {
    let world = World::new();
    let built = build(&world.options()).unwrap();
    assert_eq!(built.kernel_release, "6.1.0-56-cloud-amd64");
    assert_eq!(fs::read(&built.kernel).unwrap(), b"kernel");
    assert_eq!(built.modules, ["efivarfs", "virtio", "virtio_net", "virtio_ring"]);
    assert_eq!(built.left_out, ["fancy"]);
    let lines = listing(&built.initramfs);
    let has = |end: &str, mode: &str| lines.iter().any(|line| line.ends_with(end) && line.starts_with(mode));
    assert!(has(" init", "-rwxr-xr-x"), "{lines:?}");
    assert!(has(" dev/console", "crw-------") && has(" proc", "drwxr-xr-x"), "{lines:?}");
    assert!(has("kernel/net/virtio_net.ko", "-rw-r--r--"));
    let bytes = fs::read(&built.initramfs).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("alias virtio:d00000001v* virtio_net\n") && text.contains("load efivarfs\n"));
    let path = "lib/modules/6.1.0-56-cloud-amd64/kernel/net/virtio_net.ko";
    assert!(text.contains(&format!("module virtio_net {path} virtio_ring,virtio,nvme_core\n")));
}

#[test]
fn two_builds_are_the_same_bytes_packed_or_not() {
    let world = World::new();
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd, Compression::Auto] {
        let mut options = BuildOptions { compression, ..world.options() };
        let first = build(&options).unwrap();
        options.output = world.dir.path().join("again");
        let second = build(&options).unwrap();
        let bytes = fs::read(&first.initramfs).unwrap();
        assert_eq!(bytes, fs::read(&second.initramfs).unwrap());
        let magic: &[u8] = match first.compression {
            Compression::None => b"070701",
            Compression::Gzip => &[0x1f, 0x8b],
            _ => &[0x28, 0xb5, 0x2f, 0xfd],
        };
        assert!(bytes.starts_with(magic), "{compression:?}");
        assert_eq!(
            first.compression == Compression::Zstd,
            matches!(compression, Compression::Zstd | Compression::Auto)
        );
        assert_eq!(bytes.len() as u64, first.initramfs_bytes);
    }
}

#[test]
fn missing_modules_are_named_all_at_once() {
    let world = World::new();
    world.put("list", b"virtio_net\ne1000e\nigb\n");
    let text = build(&world.options()).unwrap_err().to_string();
    assert!(text.contains("6.1.0-56-cloud-amd64 has no module e1000e, igb"), "{text}");
    assert!(!world.dir.path().join("out").exists(), "nothing is written");
    world.put("tree/lib/modules/6.1.0-56-cloud-amd64/kernel/net/igb.ko", &module(&["depends=dca"]));
    world.put("list", b"igb\n");
    let text = build(&world.options()).unwrap_err().to_string();
    assert!(text.contains("dca (needed by igb)"), "{text}");
}

#[test]
fn what_would_not_boot_is_refused() {
    let world = World::new();
    world.put("agent", &program(3));
    assert!(build(&world.options()).unwrap_err().to_string().contains("linked dynamically"));
    world.put("agent", b"#!/bin/sh\n");
    assert!(build(&world.options()).unwrap_err().to_string().contains("no 64-bit"));
    let world = World::new();
    world.put("list", b"virtio_net sometimes\n");
    assert!(build(&world.options()).unwrap_err().to_string().contains("line 1"));
    let world = World::new();
    world.put("tree/lib/modules/6.1.0-56-cloud-amd64/kernel/net/virtio_net.ko", b"\xfd7zXZ");
    assert!(build(&world.options()).unwrap_err().to_string().contains("no kernel module"));
    let options = BuildOptions { kernel: KernelSource::Tree("/nonexistent".into()), ..world.options() };
    assert!(build(&options).unwrap_err().to_string().contains("no boot directory"));
    let options = BuildOptions { kernel: KernelSource::Deb("/nonexistent.deb".into()), ..world.options() };
    assert!(build(&options).unwrap_err().to_string().contains("dpkg-deb"));
    for name in ["--option", "a b", "../x"] {
        let options = BuildOptions { kernel: KernelSource::Package(name.into()), ..world.options() };
        assert!(build(&options).unwrap_err().to_string().contains("no package's name"), "{name}");
    }
}

#[test]
fn a_certificate_goes_where_the_agent_looks() {
    let world = World::new();
    world.put("ca.pem", b"-----BEGIN CERTIFICATE-----\n");
    let built =
        build(&BuildOptions { ca: Some(world.dir.path().join("ca.pem")), ..world.options() }).unwrap();
    assert!(listing(&built.initramfs).iter().any(|line| line.ends_with(" etc/billet/ca.pem")));
}

#[test]
fn both_lists_can_be_read() {
    for list in [LAB, METAL] {
        assert!(ModuleList::parse(list).is_ok());
    }
}
