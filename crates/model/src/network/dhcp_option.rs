//! Options that a port's owner wants its machine to get by DHCP.

use super::ExtraDhcpOption;
use std::net::Ipv4Addr;

/// How the value of an option is put into octets (RFC 2132).
#[derive(Clone, Copy)]
enum Form {
    /// Addresses, parted by commas.
    Addresses,
    /// As it is.
    Text,
    /// A number of two octets.
    Number,
}

/// dnsmasq's names, as far as they say something to an installed system. What firmware boots, and the addresses themselves, are not a
/// port's matter: `server-ip-address`, `tftp-server`, `bootfile-name` and their like are kept and not handed out.
const NAMES: &[(&str, u8, Form)] = &[
    ("time-server", 4, Form::Addresses),
    ("log-server", 7, Form::Addresses),
    ("lpr-server", 9, Form::Addresses),
    ("domain-name", 15, Form::Text),
    ("mtu", 26, Form::Number),
    ("nis-domain", 40, Form::Text),
    ("nis-server", 41, Form::Addresses),
    ("ntp-server", 42, Form::Addresses),
    ("netbios-ns", 44, Form::Addresses),
    ("sip-server", 120, Form::Text),
    ("wpad", 252, Form::Text),
];

/// Code and value of an option of IPv4; none where it is not for a system, or its value has not the option's form. An option by number
/// is taken for addresses where it reads as such, else for a text, as dnsmasq does.
pub fn dhcp_option(option: &ExtraDhcpOption) -> Option<(u8, Vec<u8>)> {
    let value = option.opt_value.as_deref()?;
    let (code, form) = match NAMES.iter().find(|(name, ..)| *name == option.opt_name) {
        Some((_, code, form)) => (*code, *form),
        None => {
            let code: u8 =
                option.opt_name.strip_prefix("option:").unwrap_or(&option.opt_name).parse().ok()?;
            if !is_free(code) {
                return None;
            }
            (code, if addresses(value).is_some() { Form::Addresses } else { Form::Text })
        }
    };
    let octets = match form {
        Form::Addresses => addresses(value)?,
        Form::Text => value.as_bytes().to_vec(),
        Form::Number => value.parse::<u16>().ok()?.to_be_bytes().to_vec(),
    };
    (1..=255).contains(&octets.len()).then_some((code, octets))
}

/// Codes that may be set by number: not the protocol's own, nor those that say what is booted.
fn is_free(code: u8) -> bool {
    !matches!(
        code,
        0 | 1 | 3 | 6 | 12 | 43 | 50..=62 | 66 | 67 | 77 | 82 | 93 | 94 | 97 | 121 | 150 | 175 | 255
    )
}

fn addresses(value: &str) -> Option<Vec<u8>> {
    let each = value.split(',').map(|address| address.trim().parse::<Ipv4Addr>());
    let addresses: Vec<Ipv4Addr> = each.collect::<Result<_, _>>().ok()?;
    Some(addresses.iter().flat_map(Ipv4Addr::octets).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn option(name: &str, value: &str) -> Option<(u8, Vec<u8>)> {
        let (opt_name, opt_value) = (name.to_owned(), Some(value.to_owned()));
        dhcp_option(&ExtraDhcpOption { opt_name, opt_value, ip_version: 4 })
    }

    #[test]
    fn options_have_their_form() {
        assert_eq!(option("ntp-server", "10.0.0.1, 10.0.0.2"), Some((42, vec![10, 0, 0, 1, 10, 0, 0, 2])));
        assert_eq!(option("mtu", "1400"), Some((26, vec![5, 120])));
        assert_eq!(option("252", "http://x/wpad.dat"), Some((252, b"http://x/wpad.dat".to_vec())));
        assert_eq!(option("option:42", "10.0.0.1"), Some((42, vec![10, 0, 0, 1])));
        for (name, value) in [
            ("ntp-server", "ntp.example"),
            ("mtu", "large"),
            ("bootfile-name", "pxelinux.0"),
            ("67", "pxelinux.0"),
            ("53", "5"),
            ("wpad", ""),
            ("300", "x"),
        ] {
            assert_eq!(option(name, value), None, "{name}");
        }
        assert_eq!(option("wpad", &"x".repeat(256)), None);
    }
}
