//! The simulator against the field's own clients: `ipmitool -I lanplus` and FreeIPMI.

use crate::rack::{PASSWORD, Rack, USER};
use lab::chassis::{BootDevice, Control};
use lab::ipmi_sim::{CipherSuite, Config, administrator};
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::process::Command;

/// Runs a program within twenty seconds; a missing one fails the test with the name of its Debian package.
async fn run(package: &str, program: &str, args: &[&str]) -> Output {
    let started = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let child =
        started.unwrap_or_else(|e| panic!("{program}: {e}. This test needs it: apt-get install {package}"));
    let limit = Duration::from_secs(20);
    tokio::time::timeout(limit, child.wait_with_output()).await.expect("it takes too long").unwrap()
}

/// `ipmitool` with suite 3 or 17; its standard output, having checked that it succeeded.
async fn ipmitool(rack: &Rack, suite: u8, args: &[&str]) -> String {
    let output = ipmitool_as(rack, Some(suite), PASSWORD, args).await;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "ipmitool -C {suite} {args:?}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

async fn ipmitool_as(rack: &Rack, suite: Option<u8>, password: &str, args: &[&str]) -> Output {
    let port = rack.port().to_string();
    let suite = suite.map(|s| s.to_string());
    let mut all = vec!["-I", "lanplus", "-H", "127.0.0.1", "-p", &port, "-U", USER, "-P", password];
    all.extend(["-N", "1", "-R", "2"]);
    if let Some(suite) = &suite {
        all.extend(["-C", suite]);
    }
    all.extend(args);
    run("ipmitool", "ipmitool", &all).await
}

#[tokio::test]
async fn ipmitool_rules_the_power() {
    for suite in [3, 17] {
        let rack = Rack::new();
        assert_eq!(ipmitool(&rack, suite, &["power", "status"]).await.trim(), "Chassis Power is off");
        ipmitool(&rack, suite, &["power", "on"]).await;
        assert_eq!(ipmitool(&rack, suite, &["power", "status"]).await.trim(), "Chassis Power is on");
        for verb in ["reset", "cycle", "diag", "soft", "on", "off"] {
            ipmitool(&rack, suite, &["power", verb]).await;
        }
        assert_eq!(
            rack.deeds(),
            [
                Control::PowerUp,
                Control::HardReset,
                Control::PowerCycle,
                Control::DiagnosticInterrupt,
                Control::SoftShutdown,
                Control::PowerUp,
                Control::PowerDown
            ]
        );
        assert_eq!(rack.sim.open_sessions(), 0, "ipmitool closes what it opens");
    }
}

#[tokio::test]
async fn ipmitool_picks_a_suite_by_itself() {
    let rack = Rack::new();
    let output = ipmitool_as(&rack, None, PASSWORD, &["power", "status"]).await;
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test]
async fn ipmitool_sets_and_reads_the_boot_device() {
    for suite in [3, 17] {
        let rack = Rack::new();
        ipmitool(&rack, suite, &["chassis", "bootdev", "pxe", "options=efiboot"]).await;
        let read = ipmitool(&rack, suite, &["chassis", "bootparam", "get", "5"]).await;
        for line in ["Boot Flag Valid", "only next boot", "BIOS EFI boot", "Force PXE"] {
            assert!(read.contains(line), "{line} in {read}");
        }
        ipmitool(&rack, suite, &["power", "on"]).await;
        assert_eq!(rack.last_device(), BootDevice::Pxe);
        let read = ipmitool(&rack, suite, &["chassis", "bootparam", "get", "5"]).await;
        assert!(read.contains("Boot Flag Invalid") && read.contains("No override"), "{read}");
        // What Ironic sends for a persistent UEFI boot from disk.
        let raw = ["raw", "0x00", "0x08", "0x05", "0xe0", "0x08", "0x00", "0x00", "0x00"];
        ipmitool(&rack, suite, &["raw", "0x00", "0x08", "0x03", "0x08"]).await;
        ipmitool(&rack, suite, &raw).await;
        ipmitool(&rack, suite, &["power", "reset"]).await;
        let read = ipmitool(&rack, suite, &["chassis", "bootparam", "get", "5"]).await;
        assert!(
            read.contains("all future boots") && read.contains("Force Boot from default Hard-Drive"),
            "{read}"
        );
    }
}

#[tokio::test]
async fn ipmitool_reads_what_ironic_asks_for() {
    let rack = Rack::new();
    let info = ipmitool(&rack, 17, &["mc", "info"]).await;
    assert!(info.contains("IPMI Version              : 2.0"), "{info}");
    assert!(ipmitool(&rack, 17, &["chassis", "status"]).await.contains("System Power         : off"));
    assert!(ipmitool(&rack, 3, &["mc", "guid"]).await.contains("GUID"));
    assert!(ipmitool(&rack, 3, &["mc", "selftest"]).await.contains("passed"));
    assert!(ipmitool(&rack, 3, &["sel", "info"]).await.contains("Entries          : 0"));
    ipmitool(&rack, 3, &["mc", "reset", "cold"]).await;
}

#[tokio::test]
async fn ipmitool_is_turned_away_for_each_good_reason() {
    let rack = Rack::new();
    let output = ipmitool_as(&rack, Some(3), "hobbes", &["power", "status"]).await;
    assert!(!output.status.success());
    let output = ipmitool_as(&rack, Some(17), "hobbes", &["power", "status"]).await;
    assert!(!output.status.success());
    let output = ipmitool_as(&rack, Some(0), PASSWORD, &["power", "status"]).await;
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("no matching cipher suite"), "{text}");
    let only_3 =
        Rack::with(Config { suites: vec![CipherSuite::Three], ..Config::new(administrator(USER, PASSWORD)) });
    let output = ipmitool_as(&only_3, Some(17), PASSWORD, &["power", "status"]).await;
    assert!(!output.status.success());
    assert!(rack.deeds().is_empty() && rack.sim.open_sessions() == 0);
}

#[tokio::test]
async fn freeipmi_rules_the_power() {
    for suite in ["3", "17"] {
        let rack = Rack::new();
        let host = format!("127.0.0.1:{}", rack.port());
        let ipmipower = async |deed: &str| {
            let args = ["-D", "LAN_2_0", "-h", &host, "-u", USER, "-p", PASSWORD, "-I", suite, deed];
            let output = run("freeipmi-tools", "ipmipower", &args).await;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success(), "{deed}: {text}{}", String::from_utf8_lossy(&output.stderr));
            text
        };
        assert!(ipmipower("--stat").await.contains("off"));
        assert!(ipmipower("--on").await.contains("ok"));
        assert!(ipmipower("--stat").await.contains(": on"));
        assert!(ipmipower("--reset").await.contains("ok"));
        assert!(ipmipower("--off").await.contains("ok"));
        assert_eq!(rack.deeds(), [Control::PowerUp, Control::HardReset, Control::PowerDown]);
    }
}

#[tokio::test]
async fn freeipmi_reads_the_device_id_and_sees_a_wrong_password() {
    let rack = Rack::new();
    let host = format!("127.0.0.1:{}", rack.port());
    let args = ["-D", "LAN_2_0", "-h", &host, "-u", USER, "-p", PASSWORD, "-I", "17"];
    let output = run("freeipmi-tools", "bmc-info", &[&args[..], &["--get-device-id"]].concat()).await;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("2.0"), "{output:?}");
    let wrong = ["-D", "LAN_2_0", "-h", &host, "-u", USER, "-p", "hobbes", "-I", "17", "--stat"];
    let output = run("freeipmi-tools", "ipmipower", &wrong).await;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("password"), "{output:?}");
}
