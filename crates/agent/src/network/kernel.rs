//! Addresses, routes and links through ioctl (netdevice(7), route(7)): all `unsafe` of the network is here.

use std::ffi::CStr;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::os::fd::AsRawFd;

/// All addresses of all interfaces, by the interface's name, without IPv6's link-local ones.
pub fn addresses() -> Vec<(String, IpAddr)> {
    let mut list: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: the kernel's list is written to a valid pointer and freed below.
    if unsafe { libc::getifaddrs(&raw mut list) } != 0 {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut at = list;
    while !at.is_null() {
        // SAFETY: a node of the list that getifaddrs made, alive until freeifaddrs.
        let node = unsafe { &*at };
        at = node.ifa_next;
        if node.ifa_addr.is_null() {
            continue;
        }
        // SAFETY: the family says which structure the address is.
        let address = unsafe {
            match i32::from((*node.ifa_addr).sa_family) {
                libc::AF_INET => {
                    let address = &*node.ifa_addr.cast::<libc::sockaddr_in>();
                    IpAddr::V4(Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr)))
                }
                libc::AF_INET6 => {
                    let address = &*node.ifa_addr.cast::<libc::sockaddr_in6>();
                    IpAddr::V6(Ipv6Addr::from(address.sin6_addr.s6_addr))
                }
                _ => continue,
            }
        };
        if matches!(address, IpAddr::V6(six) if six.is_unicast_link_local()) {
            continue;
        }
        // SAFETY: the name is a C string of the same list.
        let name = unsafe { CStr::from_ptr(node.ifa_name) }.to_string_lossy().into_owned();
        found.push((name, address));
    }
    // SAFETY: the list came from getifaddrs and is not used again.
    unsafe { libc::freeifaddrs(list) };
    found
}

/// Switches an interface on.
pub fn set_link_up(name: &str) -> io::Result<()> {
    set_link(name, true)
}

/// Switches an interface on or off.
pub(crate) fn set_link(name: &str, is_up: bool) -> io::Result<()> {
    let mut request = named(name)?;
    call(libc::SIOCGIFFLAGS, &mut request)?;
    // SAFETY: SIOCGIFFLAGS filled this member.
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    let up = libc::IFF_UP as libc::c_short;
    request.ifr_ifru.ifru_flags = if is_up { flags | up } else { flags & !up };
    call(libc::SIOCSIFFLAGS, &mut request)
}

/// Gives an interface its address.
pub(super) fn set_address(name: &str, address: Ipv4Addr, netmask: Ipv4Addr) -> io::Result<()> {
    let mut request = named(name)?;
    request.ifr_ifru.ifru_addr = socket_address(address);
    call(libc::SIOCSIFADDR, &mut request)?;
    request.ifr_ifru.ifru_netmask = socket_address(netmask);
    call(libc::SIOCSIFNETMASK, &mut request)
}

/// Sets the largest packet.
pub(super) fn set_mtu(name: &str, mtu: u16) -> io::Result<()> {
    let mut request = named(name)?;
    request.ifr_ifru.ifru_mtu = i32::from(mtu);
    call(libc::SIOCSIFMTU, &mut request)
}

/// Adds a route; with an unspecified gateway the destination is on the link.
pub(super) fn add_route(
    name: &str,
    destination: Ipv4Addr,
    mask: Ipv4Addr,
    gateway: Ipv4Addr,
) -> io::Result<()> {
    // SAFETY: all zero is a valid rtentry.
    let mut route: libc::rtentry = unsafe { std::mem::zeroed() };
    let mut device = named(name)?.ifr_name;
    route.rt_dst = socket_address(destination);
    route.rt_genmask = socket_address(mask);
    route.rt_gateway = socket_address(gateway);
    route.rt_flags = libc::RTF_UP;
    if !gateway.is_unspecified() {
        route.rt_flags |= libc::RTF_GATEWAY;
    }
    if mask == Ipv4Addr::BROADCAST {
        route.rt_flags |= libc::RTF_HOST;
    }
    route.rt_dev = device.as_mut_ptr();
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    // SAFETY: a valid rtentry whose device name outlives the call.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCADDRT as _, &raw mut route) })
}

/// Makes a socket see one interface only.
pub(super) fn bind_to_device(socket: &UdpSocket, name: &str) -> io::Result<()> {
    let name = named(name)?.ifr_name;
    // SAFETY: the option's value is the array that is passed with its length.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_BINDTODEVICE,
            name.as_ptr().cast(),
            size_of_val(&name) as libc::socklen_t,
        )
    })
}

/// Sets the host name; what fails is without consequence.
pub(super) fn set_host_name(name: &str) {
    // SAFETY: pointer and length belong together.
    unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) };
}

fn named(name: &str) -> io::Result<libc::ifreq> {
    // SAFETY: all zero is a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.is_empty() || name.len() >= request.ifr_name.len() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "interface name"));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    Ok(request)
}

fn socket_address(address: Ipv4Addr) -> libc::sockaddr {
    // SAFETY: all zero is a valid sockaddr.
    let mut socket: libc::sockaddr = unsafe { std::mem::zeroed() };
    socket.sa_family = libc::AF_INET as libc::sa_family_t;
    // sockaddr_in: port (2 bytes), address (4 bytes).
    for (to, from) in socket.sa_data[2..6].iter_mut().zip(address.octets()) {
        *to = from as libc::c_char;
    }
    socket
}

fn call(number: libc::c_ulong, request: &mut libc::ifreq) -> io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    // SAFETY: all these calls take an ifreq.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), number as _, std::ptr::from_mut(request)) })
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
