//! `network_data.json` of a config drive: what an instance is told of its network, in the format of Nova's metadata
//! (`nova/virt/netutils.py`, schema `doc/api_schemas/network_data.json`), which cloud-init reads.

use super::{Cidr, Ipv6Mode, Network, NetworkPort, Subnet};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// A port of an instance with what it hangs on.
#[derive(Debug, Clone, Copy)]
pub struct Attachment<'a> {
    /// The port, with the MAC address of the machine's card.
    pub port: &'a NetworkPort,
    /// Its network.
    pub network: &'a Network,
    /// The subnets that the port has addresses in; others are not looked at.
    pub subnets: &'a [Subnet],
}

/// The document for an instance with these ports, in their order. An instance without any gets empty lists, which cloud-init takes for
/// "configure nothing".
pub fn network_data(attachments: &[Attachment<'_>]) -> Value {
    let (mut links, mut networks, mut services) = (Vec::new(), Vec::new(), Vec::new());
    let mut known = BTreeSet::new();
    for attachment in attachments {
        let port = attachment.port;
        let link = link_id(port);
        links.push(json!({
            "id": link,
            "vif_id": port.id,
            "type": "phy",
            "mtu": attachment.network.mtu,
            "ethernet_mac_address": port.mac_address,
        }));
        for fixed in &port.fixed_ips {
            let Some(subnet) = attachment.subnets.iter().find(|subnet| subnet.id == fixed.subnet_id) else {
                continue;
            };
            let id = format!("network{}", networks.len());
            networks.push(network(&id, &link, subnet, fixed.ip_address));
            for server in &subnet.dns_nameservers {
                if known.insert(*server) {
                    services.push(dns(*server));
                }
            }
        }
    }
    json!({"links": links, "networks": networks, "services": services})
}

/// The name of a link, as Nova makes it of a port: `tap` and the first eleven characters of the UUID.
fn link_id(port: &NetworkPort) -> String {
    let mut id = format!("tap{}", port.id);
    id.truncate(14);
    id
}

fn dns(server: IpAddr) -> Value {
    json!({"type": "dns", "address": server})
}

fn network(id: &str, link: &str, subnet: &Subnet, address: IpAddr) -> Value {
    let kind = match (subnet.ip_version(), subnet.enable_dhcp) {
        (4, true) => "ipv4_dhcp",
        (4, false) => "ipv4",
        // Who advertises the prefix and serves DHCPv6 there is the network's own matter: only a mode says that somebody does.
        (_, _) => match subnet.ipv6_address_mode {
            Some(Ipv6Mode::Slaac) => "ipv6_slaac",
            Some(Ipv6Mode::DhcpV6Stateless) => "ipv6_dhcpv6-stateless",
            Some(Ipv6Mode::DhcpV6Stateful) => "ipv6_dhcpv6-stateful",
            None => "ipv6",
        },
    };
    let mut out = json!({"id": id, "type": kind, "link": link, "network_id": subnet.network_id});
    if matches!(kind, "ipv4" | "ipv6") {
        let mut routes: Vec<Value> =
            subnet.gateway_ip.map(|gateway| default_route(subnet, gateway)).into_iter().collect();
        routes.extend(subnet.host_routes.iter().map(|r| route(&r.destination, r.nexthop)));
        out["ip_address"] = match kind {
            "ipv4" => json!(address),
            _ => json!(format!("{address}/{}", subnet.cidr.prefix())),
        };
        out["netmask"] = json!(subnet.cidr.netmask());
        out["routes"] = json!(routes);
        out["services"] = subnet.dns_nameservers.iter().map(|server| dns(*server)).collect();
    }
    out
}

fn default_route(subnet: &Subnet, gateway: IpAddr) -> Value {
    let any = if subnet.ip_version() == 4 { "0.0.0.0" } else { "::" };
    json!({"network": any, "netmask": any, "gateway": gateway})
}

fn route(destination: &Cidr, gateway: IpAddr) -> Value {
    json!({"network": destination.network(), "netmask": destination.netmask(), "gateway": gateway})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{FixedIp, HostRoute};
    use jiff::Timestamp;
    use uuid::Uuid;

    fn world() -> (Network, Vec<Subnet>, NetworkPort) {
        let now = Timestamp::UNIX_EPOCH;
        let network = Network::new(Uuid::from_u128(1), "p", now);
        let subnet = |id: u128, cidr: &str| {
            Subnet::new(Uuid::from_u128(id), network.id, "p", cidr.parse().unwrap(), now)
        };
        let mut four = subnet(2, "10.77.0.0/24");
        four.dns_nameservers = vec!["10.77.0.53".parse().unwrap()];
        four.host_routes = vec![HostRoute {
            destination: "10.9.0.0/16".parse().unwrap(),
            nexthop: "10.77.0.2".parse().unwrap(),
        }];
        let six = subnet(3, "2001:db8::/64");
        let mut port = NetworkPort::new(Uuid::from_u128(4), network.id, "p", now);
        port.mac_address = "52:54:00:12:34:56".to_owned();
        port.fixed_ips = vec![
            FixedIp { subnet_id: four.id, ip_address: "10.77.0.9".parse().unwrap() },
            FixedIp { subnet_id: six.id, ip_address: "2001:db8::9".parse().unwrap() },
        ];
        (network, vec![four, six], port)
    }

    #[test]
    fn a_subnet_with_dhcp_says_no_more_than_that() {
        let (network, subnets, port) = world();
        let data = network_data(&[Attachment { port: &port, network: &network, subnets: &subnets }]);
        assert_eq!(data["links"][0]["ethernet_mac_address"], "52:54:00:12:34:56");
        assert_eq!(data["links"][0]["mtu"], 1500);
        assert_eq!(data["links"][0]["type"], "phy");
        let first = &data["networks"][0];
        assert_eq!(
            (first["type"].as_str(), first["link"].clone()),
            (Some("ipv4_dhcp"), data["links"][0]["id"].clone())
        );
        assert!(first.get("ip_address").is_none());
        assert_eq!(data["services"], json!([{"type": "dns", "address": "10.77.0.53"}]));
    }

    #[test]
    fn a_subnet_without_dhcp_says_all() {
        let (network, mut subnets, port) = world();
        subnets[0].enable_dhcp = false;
        let data = network_data(&[Attachment { port: &port, network: &network, subnets: &subnets }]);
        let (four, six) = (&data["networks"][0], &data["networks"][1]);
        assert_eq!(four["type"], "ipv4");
        assert_eq!((&four["ip_address"], &four["netmask"]), (&json!("10.77.0.9"), &json!("255.255.255.0")));
        assert_eq!(
            four["routes"],
            json!([
                {"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.77.0.1"},
                {"network": "10.9.0.0", "netmask": "255.255.0.0", "gateway": "10.77.0.2"},
            ])
        );
        assert_eq!(four["services"], json!([{"type": "dns", "address": "10.77.0.53"}]));
        assert_eq!((&six["type"], &six["ip_address"]), (&json!("ipv6"), &json!("2001:db8::9/64")));
        subnets[1].ipv6_address_mode = Some(Ipv6Mode::Slaac);
        let data = network_data(&[Attachment { port: &port, network: &network, subnets: &subnets }]);
        assert_eq!(data["networks"][1]["type"], "ipv6_slaac");
        assert_eq!(network_data(&[]), json!({"links": [], "networks": [], "services": []}));
    }
}
