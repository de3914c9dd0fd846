"""openstacksdk itself, as scripts use it: connect by ``clouds.yaml``, list, create, wait, delete."""

import openstack

from .world import World, among, same


def script(w: World) -> None:
    """A server's whole life in a dozen lines, as the admin."""
    with openstack.connect(cloud=w.cloud) as cloud:
        among("disk", [image.name for image in cloud.image.images()])
        among("provider", [network.name for network in cloud.network.networks()])
        flavor = cloud.compute.find_flavor("gold", ignore_missing=False)
        image = cloud.image.find_image("disk", ignore_missing=False)
        network = cloud.network.find_network("provider", ignore_missing=False)
        server = cloud.compute.create_server(name="scripted", image_id=image.id, flavor_id=flavor.id, networks=[{"uuid": network.id}])
        server = cloud.compute.wait_for_server(server, interval=0.2, wait=60)
        same(server.status, "ACTIVE")
        among(server.id, [row.id for row in cloud.compute.servers()])
        [port] = cloud.network.ports(device_id=server.id)
        same(port.network_id, network.id)
        node = next(node for node in cloud.baremetal.nodes(instance_id=server.id))
        same(cloud.baremetal.get_node(node.id).provision_state, "active")
        cloud.compute.delete_server(server)
        cloud.compute.wait_for_delete(server, interval=0.2, wait=60)
        same(list(cloud.network.ports(device_id=server.id)), [])


def layer(w: World) -> None:
    """The same by the layer that Ansible's modules use."""
    with openstack.connect(cloud=w.cloud) as cloud:
        server = cloud.create_server("layered", image="disk", flavor="gold", network="provider", wait=True, timeout=60)
        same(server.status, "ACTIVE")
        assert cloud.delete_server("layered", wait=True, timeout=60)
        same(cloud.get_server("layered"), None)


ACTS = [script, layer]
