"""One `billet serve` on a state directory of its own, and the objects that requests are aimed at."""

import json
import urllib.request

from ..support.site import Site, wait_until

NEWEST = "1.115"

CONFIGURATION = """
[api]
auth = "none"
enabled_hardware_types = ["fake-hardware"]
[netboot]
enabled = false
"""


class Server(Site):
    """Runs while the `with` block does; nothing is left behind."""

    def __init__(self):
        super().__init__(CONFIGURATION)

    def start(self):
        super().start()
        try:
            self.seed()
        except BaseException:
            self.stop()
            raise

    def ask(self, method, path, body=None):
        """A well-formed request at the newest microversion; its answer's JSON."""
        request = urllib.request.Request(self.url + path, method=method)
        request.add_header("X-OpenStack-Ironic-API-Version", NEWEST)
        if body is not None:
            request.add_header("Content-Type", "application/json")
            request.data = json.dumps(body).encode()
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
            return json.loads(text) if text else None

    def seed(self):
        """Objects for requests to find, in several states; see `hooks.py`."""
        nodes = [self.ask("POST", "/v1/nodes", {"driver": "fake-hardware", "name": f"n{number}", "resource_class": "metal"}) for number in range(12)]
        uuids = [node["uuid"] for node in nodes]
        addresses = [f"52:54:00:00:00:{number:02x}" for number in range(12)]
        ports = [
            self.ask("POST", "/v1/ports", {"node_uuid": uuid, "address": address})["uuid"] for uuid, address in zip(uuids, addresses)
        ]
        for state, verb, some in (("manageable", "manage", uuids[2:8]), ("available", "provide", uuids[4:8])):
            for uuid in some:
                self.ask("PUT", f"/v1/nodes/{uuid}/states/provision", {"target": verb})
            for uuid in some:
                self.wait_for(uuid, state)
        self.ask("PUT", f"/v1/nodes/{uuids[8]}/maintenance", {"reason": "fuzz"})
        def create(path, **body):
            return [self.ask("POST", path, {key: value(number) for key, value in body.items()})["uuid"] for number in range(4)]

        groups = create("/v1/portgroups", node_uuid=lambda n: uuids[n], name=lambda n: f"g{n}")
        chassis = create("/v1/chassis", description=lambda n: f"rack {n}")
        connectors = create("/v1/volume/connectors", node_uuid=lambda n: uuids[n], type=lambda n: "iqn", connector_id=lambda n: f"iqn.{n}")
        targets = create(
            "/v1/volume/targets", node_uuid=lambda n: uuids[n], volume_type=lambda n: "iscsi", volume_id=lambda n: f"v{n}",
            boot_index=lambda n: n,
        )
        step = {"interface": "deploy", "step": "erase_devices", "args": {}}
        templates = create("/v1/deploy_templates", name=lambda n: f"CUSTOM_T{n}", steps=lambda n: [step | {"priority": 10}])
        runbooks = create("/v1/runbooks", name=lambda n: f"CUSTOM_R{n}", steps=lambda n: [step | {"order": 1}])
        rules = create(
            "/v1/inspection_rules", actions=lambda n: [{"op": "set-attribute", "args": {"path": "/extra/x", "value": n}}],
            description=lambda n: f"rule {n}",
        )
        allocations = create("/v1/allocations", resource_class=lambda n: "metal" if n < 2 else "none", name=lambda n: f"a{n}")
        conductor = self.ask("GET", "/v1/conductors")["conductors"][0]["hostname"]
        traits = ["CUSTOM_A", "HW_CPU_X86_VMX"]
        names = [node["name"] for node in nodes]
        self.seeds = {
            "path": {
                "node": uuids[:9] + names[:9], "port": ports[:9], "driver": ["fake-hardware"], "trait": traits, "hostname": [conductor],
                "portgroup": groups[:3] + ["g0"], "chassis": chassis[:3], "connector": connectors[:3], "target": targets[:3],
                "template": templates[:3], "runbook": runbooks[:3], "rule": rules[:3], "allocation": allocations[:3],
                "indicator": ["led@system"], "method": ["first_method", "second_method", "third_method_sync"],
                "setting": ["virtualization"],
            },
            "doomed": {
                "node": uuids[9:], "port": ports[7:], "trait": traits, "portgroup": groups[3:], "chassis": chassis[3:],
                "connector": connectors[3:], "target": targets[3:],
                "template": templates[3:], "runbook": runbooks[3:], "rule": rules[3:], "allocation": allocations[3:], "vif": ["vif-1"],
            },
            "query": {
                "node": uuids[:9] + names[:9], "node_uuid": uuids[:9], "marker": uuids[:9] + ports[:9], "fields": ["uuid", "name,driver"],
                "sort_key": ["uuid", "created_at", "provision_state", "id"], "driver": ["fake-hardware"], "address": addresses,
                "addresses": addresses, "conductor": [conductor], "portgroup": groups, "chassis_uuid": chassis, "resource_class": ["metal"],
                "method": ["first_method", "second_method", "third_method_sync"], "limit": [1, 2],
            },
            "body": {
                "driver": ["fake-hardware"], "node_uuid": uuids[:9], "uuid": uuids, "name": names, "address": addresses,
                "boot_device": ["disk", "pxe"], "traits": [traits], "id": ["vif-1", "vif-2"], "port_uuid": ports[:9], "resource_class": ["metal"],
                "steps": [[step | {"priority": 1}], [step | {"order": 1}]], "clean_steps": [[step]], "service_steps": [[step]],
                "deploy_steps": [[step | {"priority": 1}]], "runbook": runbooks[:3], "candidate_nodes": [uuids[:9]], "node": uuids[:9],
                "target": ["manage", "provide", "clean", "inspect", "active", "deleted", "abort", "power on", "power off", "uefi"],
                "chassis_uuid": [None, chassis[0]], "portgroup_uuid": groups, "instance_uuid": [None],
            },
        }

    def wait_for(self, node, state):
        def is_there():
            return self.ask("GET", f"/v1/nodes/{node}/states")["provision_state"] == state

        wait_until(is_there, f"{node}: {state}")

    def listings(self):
        """All that is stored, as lists show it."""
        paths = ("nodes/detail", "ports/detail", "portgroups/detail", "chassis/detail", "volume/connectors", "volume/targets")
        paths += ("allocations", "deploy_templates?detail=true", "runbooks?detail=true", "inspection_rules?detail=true")
        return {path: self.ask("GET", f"/v1/{path}") for path in paths}

    def errors(self):
        """The log's errors."""
        lines = self.log.read_text(errors="replace").splitlines(keepends=True)
        return "".join(line for line in lines if '"level":"ERROR"' in line or "panicked" in line)
