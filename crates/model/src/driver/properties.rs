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

const DEPLOY: Rows = &[
    (
        "agent_verify_ca",
        "Whether to verify the agent's certificate, or a path to the trusted ones. Optional.",
    ),
    ("deploy_forces_oob_reboot", "Restart the machine through its BMC at the end of a deployment. Optional."),
    (
        "image_download_source",
        "Where the agent gets the image: \"http\" (from its own URL), \"local\" or \"swift\". Optional.",
    ),
    ("image_http_proxy", "Proxy for images with http URLs. Optional."),
    ("image_https_proxy", "Proxy for images with https URLs. Optional."),
    ("image_no_proxy", "Hosts, addresses and domains, separated by commas, that need no proxy. Optional."),
];

const NETWORK: Rows = &[
    ("provisioning_network", "Network of the ramdisk during deployment, for managed networks. Optional."),
    ("cleaning_network", "Network of the ramdisk during cleaning, for managed networks. Optional."),
    ("rescuing_network", "Network of the rescue ramdisk, for managed networks. Optional."),
    ("inspection_network", "Network of the ramdisk during inspection, for managed networks. Optional."),
    ("servicing_network", "Network of the ramdisk during service, for managed networks. Optional."),
    ("fail_on_binding_failure", "Whether a port that can't be bound fails the operation. Optional."),
];

const MEDIA: Rows = &[
    ("deploy_iso", "ISO with the deployment ramdisk, in place of kernel and ramdisk. Optional."),
    ("rescue_iso", "ISO with the rescue ramdisk, in place of kernel and ramdisk. Optional."),
    ("config_via_removable", "Pass the ramdisk's settings on a second virtual drive. Optional."),
    ("bootloader", "EFI system partition with a boot loader, for ISOs that are made. Optional."),
    ("external_http_url", "How BMCs outside of the provisioning network reach images. Optional."),
    (
        "vmedia_transport_protocol",
        "How BMCs fetch images: \"HTTP\", \"HTTPS\", \"NFS\" or \"CIFS\". Optional.",
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
    (
        "ipmi_terminal_port",
        "TCP port of the serial console. Required for the console interface ipmitool-socat only.",
    ),
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
    ("redfish_tls_minimum_version", "Least TLS version to accept: \"1.1\", \"1.2\" or \"1.3\". Optional."),
    ("redfish_tls_ciphers", "TLS ciphers to offer, as OpenSSL lists them. Optional."),
    (
        "firmware_update_unresponsive_bmc_wait",
        "Seconds to leave the BMC alone during a firmware update. Optional.",
    ),
];

const FAKE: Rows = &[
    ("B1", "A value of the pretended vendor interface. Required."),
    ("B2", "Another value of the pretended vendor interface. Required."),
];

/// The keys of `driver_info` that nodes of this hardware type understand, each with a sentence.
pub fn properties(hardware: &HardwareType) -> Vec<(&'static str, &'static str)> {
    let own: &[Rows] = match hardware.name {
        "ipmi" | "intel-ipmi" => &[BOOT, DEPLOY, NETWORK, IPMI],
        "redfish" | "idrac" => &[BOOT, DEPLOY, NETWORK, MEDIA, REDFISH],
        super::FAKE => &[FAKE],
        _ => &[BOOT, DEPLOY, NETWORK],
    };
    own.concat()
}
