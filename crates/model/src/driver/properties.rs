//! `GET /v1/drivers/{name}/properties`: the keys of `driver_info` that a hardware type reads.
//!
//! The keys are Ironic's; the sentences are ours.

use super::HardwareType;

type Rows = &'static [(&'static str, &'static str)];

const BOOT: Rows = &[
    (
        "deploy_kernel",
        "Kernel of the deployment ramdisk: a URL or an image id. Optional: Billet's own is the default.",
    ),
    (
        "deploy_ramdisk",
        "The deployment ramdisk itself: a URL or an image id. Optional: Billet's own is the default.",
    ),
    (
        "force_persistent_boot_device",
        "'Default' sets the boot device for good only at the end of a deployment, 'Always' every time, 'Never' never. Optional.",
    ),
    ("rescue_kernel", "Kernel of the rescue ramdisk: a URL or an image id. Required for rescue."),
    ("rescue_ramdisk", "The rescue ramdisk itself: a URL or an image id. Required for rescue."),
    (
        "kernel_append_params",
        "Parameters for the ramdisk's kernel in place of the configured ones; %default% stands for those. Optional.",
    ),
];

const IPMI: Rows = &[
    ("ipmi_address", "Address or host name of the BMC. Required."),
    ("ipmi_password", "Password of the BMC's user. Optional."),
    ("ipmi_hex_kg_key", "BMC key (Kg) in hexadecimal, for two-key logins of IPMI 2.0. Optional."),
    ("ipmi_port", "UDP port of the BMC; 623 by default. Optional."),
    (
        "ipmi_priv_level",
        "Privilege level to ask for: ADMINISTRATOR (default), OPERATOR, USER or CALLBACK. Optional.",
    ),
    ("ipmi_username", "User of the BMC; the null user by default. Optional."),
    ("ipmi_bridging", "Bridged requests: \"no\" (default), \"single\" or \"dual\". Optional."),
    ("ipmi_transit_channel", "Transit channel. Required for dual bridging only."),
    ("ipmi_transit_address", "Transit address. Required for dual bridging only."),
    ("ipmi_target_channel", "Channel of the bridged target. Required for single and dual bridging."),
    ("ipmi_target_address", "Address of the bridged target. Required for single and dual bridging."),
    ("ipmi_local_address", "Own IPMB address of bridged requests. Optional."),
    ("ipmi_protocol_version", "\"2.0\" (default) or \"1.5\". Optional."),
    (
        "ipmi_force_boot_device",
        "Set the boot device again at each power-on, for a BMC that forgets it. Optional.",
    ),
    (
        "ipmi_disable_boot_timeout",
        "Keep the BMC from forgetting a one-time boot device after 60 seconds; true by default. Optional.",
    ),
    ("ipmi_cipher_suite", "Cipher suite: 17 (HMAC-SHA256, preferred) or 3 (HMAC-SHA1). Optional."),
];

const REDFISH: Rows = &[
    ("redfish_address", "URL of the BMC; https is assumed where no scheme is given. Required."),
    (
        "redfish_system_id",
        "Path of the system, such as /redfish/v1/Systems/1. Required only where a BMC has several.",
    ),
    ("redfish_username", "User of the BMC. Optional."),
    ("redfish_password", "Password of the BMC's user. Optional."),
    (
        "redfish_verify_ca",
        "Whether to verify the BMC's certificate, or a path to the trusted ones. Optional.",
    ),
    ("redfish_auth_type", "\"session\", \"basic\" or \"auto\" (default). Optional."),
];

const FAKE: Rows = &[("B1", "A value of the pretended vendor interface."), ("B2", "Another one.")];

/// The keys of `driver_info` that nodes of this hardware type understand, each with a sentence.
pub fn properties(hardware: &HardwareType) -> Vec<(&'static str, &'static str)> {
    let own: &[Rows] = match hardware.name {
        "ipmi" | "intel-ipmi" => &[BOOT, IPMI],
        "redfish" | "idrac" => &[BOOT, REDFISH],
        super::FAKE => &[FAKE],
        _ => &[BOOT],
    };
    own.concat()
}
