//! The address at which machines ask what they are: 169.254.169.254, on whatever network they are.
//!
//! It is not ours as the segments' addresses are: somebody must have given it to this host, or we do, to its loopback interface, which
//! is enough for the kernel to take what is sent to it, and changes nothing of the interfaces that are served. A host that asks a cloud of
//! its own at this address would ask itself then, so nobody gets it unasked.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use nix::net::if_::if_nametoindex;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, sendto, socket,
};
use std::os::fd::AsRawFd;

/// Where machines ask.
pub const METADATA_ADDRESS: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
/// On this port.
const PORT: u16 = 80;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;

/// Listens at [`METADATA_ADDRESS`] for what comes in by an interface. Errors: `AddrNotAvailable` where this host does not have the
/// address, else the kernel's.
pub fn listen_for_metadata(interface: &str) -> io::Result<TcpListener> {
    listen_at(SocketAddr::from((METADATA_ADDRESS, PORT)), interface)
}

fn listen_at(address: SocketAddr, interface: &str) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind_device(Some(interface.as_bytes()))?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Gives [`METADATA_ADDRESS`] to the loopback interface; takes CAP_NET_ADMIN. It is no error if it is there already.
pub fn add_metadata_address() -> io::Result<()> {
    let index = if_nametoindex("lo").map_err(io::Error::from)?;
    let netlink =
        socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute)
            .map_err(io::Error::from)?;
    bind(netlink.as_raw_fd(), &NetlinkAddr::new(0, 0)).map_err(io::Error::from)?;
    let request = new_address(METADATA_ADDRESS, index);
    sendto(netlink.as_raw_fd(), &request, &NetlinkAddr::new(0, 0), MsgFlags::empty())
        .map_err(io::Error::from)?;
    let mut reply = [0; 256];
    let length = recv(netlink.as_raw_fd(), &mut reply, MsgFlags::empty()).map_err(io::Error::from)?;
    match acknowledged(&reply[..length]) {
        Some(0) => Ok(()),
        Some(errno) if errno == nix::errno::Errno::EEXIST as i32 => Ok(()),
        Some(errno) => Err(io::Error::from_raw_os_error(errno)),
        None => Err(io::Error::other("the kernel's answer is no acknowledgement")),
    }
}

/// `RTM_NEWADDR` for one address alone (rtnetlink(7)), in the host's byte order as netlink is.
fn new_address(address: Ipv4Addr, index: u32) -> Vec<u8> {
    const RTM_NEWADDR: u16 = 20;
    /// `NLM_F_REQUEST`, `NLM_F_ACK`, `NLM_F_EXCL`, `NLM_F_CREATE`.
    const FLAGS: u16 = 0x1 | 0x4 | 0x200 | 0x400;
    const AF_INET: u8 = 2;
    const RT_SCOPE_HOST: u8 = 254;
    const IFA_ADDRESS: u16 = 1;
    const IFA_LOCAL: u16 = 2;
    let mut body = vec![AF_INET, 32, 0, RT_SCOPE_HOST];
    body.extend(index.to_ne_bytes());
    for attribute in [IFA_LOCAL, IFA_ADDRESS] {
        body.extend(8_u16.to_ne_bytes());
        body.extend(attribute.to_ne_bytes());
        body.extend(address.octets());
    }
    let length = u32::try_from(16 + body.len()).unwrap_or_default();
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(RTM_NEWADDR.to_ne_bytes());
    message.extend(FLAGS.to_ne_bytes());
    // Sequence and port: one request, one answer.
    message.extend([0; 8]);
    message.extend(body);
    message
}

/// The error number of an `NLMSG_ERROR`, 0 for success.
fn acknowledged(reply: &[u8]) -> Option<i32> {
    const NLMSG_ERROR: u16 = 2;
    let kind = u16::from_ne_bytes(reply.get(4..6)?.try_into().ok()?);
    let errno = i32::from_ne_bytes(reply.get(16..20)?.try_into().ok()?);
    (kind == NLMSG_ERROR).then_some(errno.wrapping_neg())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_as_long_as_it_says() {
        let request = new_address(METADATA_ADDRESS, 1);
        assert_eq!(request.len(), 40);
        assert_eq!(request[..4], 40_u32.to_ne_bytes());
        assert_eq!(request[16..20], [2, 32, 0, 254]);
        assert_eq!(request[28..32], [169, 254, 169, 254]);
    }

    #[test]
    fn an_acknowledgement_has_its_errno() {
        let mut reply = vec![0; 36];
        reply[4..6].copy_from_slice(&2_u16.to_ne_bytes());
        assert_eq!(acknowledged(&reply), Some(0));
        reply[16..20].copy_from_slice(&(-1_i32).to_ne_bytes());
        assert_eq!(acknowledged(&reply), Some(1));
        assert_eq!(acknowledged(&reply[..10]), None);
        reply[4] = 9;
        assert_eq!(acknowledged(&reply), None);
    }

    #[test]
    fn what_comes_by_another_interface_is_not_for_this_listener() {
        let listener = match listen_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), "lo") {
            Ok(listener) => listener,
            Err(error) => panic!("the loopback interface can't be listened on: {error}"),
        };
        assert!(std::net::TcpStream::connect(listener.local_addr().unwrap()).is_ok());
        assert!(listen_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), "no-such-0").is_err());
    }
}
