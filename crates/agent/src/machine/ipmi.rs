//! The BMC's own addresses, asked over the system interface `/dev/ipmi0`.
//!
//! Sources: IPMI 2.0, 23.2 "Get LAN Configuration Parameters"; Linux `include/uapi/linux/ipmi.h`.

use crate::say;
use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::path::Path;

/// What the BMC says of its LAN channel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct LanAddresses {
    pub ipv4: Option<String>,
    pub ipv6: Option<String>,
    pub mac: Option<String>,
}

const NETFN_TRANSPORT: u8 = 0x0c;
const GET_LAN_PARAMETERS: u8 = 0x02;
const PARAMETER_IPV4: u8 = 3;
const PARAMETER_MAC: u8 = 5;
/// Long enough for a slow BMC, short enough for an inventory.
const ANSWER_LIMIT_MS: i32 = 3000;

/// Asks the first channel that has an address. Without `/dev/ipmi0`, or when the BMC is silent, all is empty.
pub(super) fn lan_addresses(dev: &Path) -> LanAddresses {
    let Ok(device) = OpenOptions::new().read(true).write(true).open(dev.join("ipmi0")) else {
        return LanAddresses::default();
    };
    for channel in 1..=15 {
        let Some(address) = parameter(&device, channel, PARAMETER_IPV4) else { continue };
        let mac = parameter(&device, channel, PARAMETER_MAC);
        if let [a, b, c, d] = address[..]
            && [a, b, c, d] != [0; 4]
        {
            let mac = mac
                .filter(|mac| mac.len() == 6)
                .map(|mac| mac.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":"));
            return LanAddresses { ipv4: Some(format!("{a}.{b}.{c}.{d}")), ipv6: None, mac };
        }
    }
    say!("the BMC gave no LAN address");
    LanAddresses::default()
}

fn parameter(device: &File, channel: u8, selector: u8) -> Option<Vec<u8>> {
    let answer = request(device, NETFN_TRANSPORT, GET_LAN_PARAMETERS, &[channel, selector, 0, 0])?;
    // Completion code 0, revision, data.
    match answer.as_slice() {
        [0, _, data @ ..] => Some(data.to_vec()),
        _ => None,
    }
}

#[repr(C)]
struct SystemAddress {
    kind: libc::c_int,
    channel: libc::c_short,
    lun: u8,
}

#[repr(C)]
struct Message {
    netfn: u8,
    command: u8,
    length: u16,
    data: *mut u8,
}

#[repr(C)]
struct Send {
    address: *mut SystemAddress,
    address_length: libc::c_uint,
    id: libc::c_long,
    message: Message,
}

#[repr(C)]
struct Receive {
    kind: libc::c_int,
    address: *mut SystemAddress,
    address_length: libc::c_uint,
    id: libc::c_long,
    message: Message,
}

const SYSTEM_INTERFACE: libc::c_int = 0x0c;
const BMC_CHANNEL: libc::c_short = 0x0f;

/// `_IOC(direction, 'i', number, size)`.
const fn ioctl_number(direction: u64, number: u64, size: usize) -> u64 {
    direction << 30 | (size as u64) << 16 | (b'i' as u64) << 8 | number
}

const SEND_COMMAND: u64 = ioctl_number(2, 13, size_of::<Send>());
const RECEIVE_TRUNC: u64 = ioctl_number(3, 11, size_of::<Receive>());

/// One request to the BMC, its answer's data with the completion code first; `None` when it fails or takes too long.
fn request(device: &File, netfn: u8, command: u8, data: &[u8]) -> Option<Vec<u8>> {
    let fd = device.as_raw_fd();
    let mut bytes = data.to_vec();
    let mut address = SystemAddress { kind: SYSTEM_INTERFACE, channel: BMC_CHANNEL, lun: 0 };
    let mut send = Send {
        address: &raw mut address,
        address_length: size_of::<SystemAddress>() as libc::c_uint,
        id: 1,
        message: Message { netfn, command, length: bytes.len() as u16, data: bytes.as_mut_ptr() },
    };
    // SAFETY: the structures are the kernel's own, and their pointers lead to buffers that outlive the call.
    if unsafe { libc::ioctl(fd, SEND_COMMAND as _, &raw mut send) } != 0 {
        return None;
    }
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one valid pollfd.
    if unsafe { libc::poll(&raw mut poll, 1, ANSWER_LIMIT_MS) } != 1 {
        return None;
    }
    let mut answer = [0u8; 272];
    // Room for the longest address that may come back.
    let mut from = [0u64; 8];
    let mut receive = Receive {
        kind: 0,
        address: from.as_mut_ptr().cast(),
        address_length: size_of_val(&from) as libc::c_uint,
        id: 0,
        message: Message { netfn: 0, command: 0, length: answer.len() as u16, data: answer.as_mut_ptr() },
    };
    // SAFETY: as above; the kernel writes at most `length` bytes of data and `address_length` of address.
    if unsafe { libc::ioctl(fd, RECEIVE_TRUNC as _, &raw mut receive) } != 0 {
        return None;
    }
    Some(answer.get(..usize::from(receive.message.length))?.to_vec())
}
