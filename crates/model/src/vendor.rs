//! The methods of vendor interfaces that users may call, as tables.
//!
//! Names, flags and descriptions are those that Ironic's `drivers/modules/{fake,ipmitool}.py` declare: clients show them.

use serde::Serialize;

/// One method of a vendor interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Method {
    /// Name; `method=` of a call.
    #[serde(skip)]
    pub name: &'static str,
    /// HTTP methods that it may be called by.
    pub http_methods: &'static [&'static str],
    /// Answers at once and works behind the answer.
    #[serde(rename = "async")]
    pub is_async: bool,
    /// For people.
    pub description: &'static str,
    /// Its result is sent as a file instead of JSON.
    pub attach: bool,
    /// Nothing else may hold the node meanwhile.
    pub require_exclusive_lock: bool,
}

const fn post(name: &'static str, description: &'static str) -> Method {
    Method {
        name,
        http_methods: &["POST"],
        is_async: true,
        description,
        attach: false,
        require_exclusive_lock: true,
    }
}

const FAKE: &[Method] = &[
    Method {
        require_exclusive_lock: false,
        ..post("fourth_method_shared_lock", "Test if the value of bar is woof")
    },
    post("log_passthrough", "Test pass-through to wait."),
    post("second_method", "Test if the value of bar is kazoo"),
    Method { is_async: false, ..post("third_method_sync", "Test if the value of bar is meow") },
];

const IPMITOOL: &[Method] = &[
    post(
        "bmc_reset",
        "Reset the BMC. Required argument: 'warm' (Boolean) - for warm (True) or cold (False) reset.",
    ),
    post(
        "send_raw",
        "Send raw bytes to the BMC. Required argument: 'raw_bytes' - a string of raw bytes (e.g. '0x00 0x01').",
    ),
];

/// The methods that a vendor interface offers for a node, sorted by name.
pub fn methods(implementation: &str) -> &'static [Method] {
    match implementation {
        "fake" => FAKE,
        "ipmitool" => IPMITOOL,
        _ => &[],
    }
}

/// A raw IPMI command as `ipmitool raw` takes it: network function, command, data; each a number below 256, decimal, `0x…` or `0…`.
pub fn raw_command(text: &str) -> Option<(u8, u8, Vec<u8>)> {
    let bytes: Option<Vec<u8>> = text.split_whitespace().map(byte).collect();
    let bytes = bytes?;
    match bytes.as_slice() {
        [netfn, command, data @ ..] => Some((*netfn, *command, data.to_vec())),
        _ => None,
    }
}

fn byte(text: &str) -> Option<u8> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (&text[1..], 8),
        None => (text, 10),
    };
    if digits.starts_with('+') { None } else { u8::from_str_radix(digits, radix).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_sorted_and_shown_with_ironics_keys() {
        for implementation in ["fake", "ipmitool"] {
            assert!(methods(implementation).is_sorted_by_key(|method| method.name));
        }
        assert_eq!(
            serde_json::to_value(methods("fake")[3]).unwrap(),
            serde_json::json!({
                "http_methods": ["POST"], "async": false, "description": "Test if the value of bar is meow",
                "attach": false, "require_exclusive_lock": true
            })
        );
        assert!(methods("no-vendor").is_empty());
    }

    #[test]
    fn raw_bytes_are_read_as_ipmitool_reads_them() {
        assert_eq!(raw_command("0x00 0x08 3 010"), Some((0, 8, vec![3, 8])));
        assert_eq!(raw_command(" 6 1 "), Some((6, 1, vec![])));
        for bad in ["", "0x06", "6 256", "6 -1", "6 +1", "6 x", "0x06,0x01", "6 0x", "6 08", "٣ 1"] {
            assert_eq!(raw_command(bad), None, "{bad:?}");
        }
    }
}
