"""What is expected of Billet by the agent, and of Billet towards everybody who is not the agent."""

import json

from ..support.site import Site, wait_until
from ..support.tally import Tally
from .machine import Agent

#: Newest of what the agent speaks.
RAMDISK_VERSION = "1.68"
MASK = "******"


class Node:
    """One node of the site, by the API."""

    def __init__(self, site: Site, name: str, mac: str) -> None:
        self._site = site
        body = {
            "driver": "fake-hardware",
            "name": name,
            "deploy_interface": "direct",
            "boot_interface": "fake",
            "power_interface": "fake",
            "management_interface": "fake",
        }
        status, node = site.call("POST", "/v1/nodes", body)
        assert status == 201, node
        self.uuid = node["uuid"]
        status, port = site.call("POST", "/v1/ports", {"node_uuid": self.uuid, "address": mac})
        assert status == 201, port
        self.provision("manage")
        self.reach("manageable")

    def provision(self, target: str, **more: object) -> None:
        """Asks for a change of its provision state."""
        path = f"/v1/nodes/{self.uuid}/states/provision"
        status, answer = self._site.call("PUT", path, {"target": target, **more})
        assert status == 202, answer

    def clean(self, path: str) -> None:
        """Has it cleaned by the step that waits for a file, and waits until Billet waits for the ramdisk."""
        step = {"interface": "deploy", "step": "wait_for_file", "args": {"path": path}}
        self.provision("clean", clean_steps=[step])
        self.reach("clean wait")

    def shown(self) -> dict:
        """All that the API shows of it."""
        status, node = self._site.call("GET", f"/v1/nodes/{self.uuid}")
        assert status == 200, node
        return node

    def reach(self, state: str, seconds: float = 30.0) -> None:
        """Waits for a provision state."""

        def reached() -> bool:
            node = self.shown()
            if state != node["provision_state"] and node["provision_state"].endswith("failed"):
                raise AssertionError(f"{node['provision_state']}: {node['last_error']}")
            return node["provision_state"] == state and node["reservation"] is None

        wait_until(reached, f"state {state}", seconds)

    def events(self, name: str) -> list[dict]:
        """Its events of one name, oldest first."""
        status, log = self._site.call("GET", f"/billet/v1/nodes/{self.uuid}/events")
        assert status == 200, log
        return [event for event in log["events"] if event["name"] == name]

    def event(self, name: str, detail: str = "") -> dict:
        """Waits for an event whose detail has this text."""
        found: list[dict] = []

        def came() -> bool:
            found[:] = [event for event in self.events(name) if detail in event["detail"]]
            return bool(found)

        wait_until(came, f"event {name!r} {detail!r}")
        return found[0]


class Ramdisk:
    """Calls that a ramdisk, or who plays one, makes."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def look_up(self, mac: str) -> tuple[int, dict]:
        """Status and answer."""
        return self._site.call("GET", f"/v1/lookup?addresses={mac}", version=RAMDISK_VERSION)

    def beat(self, uuid: str, **body: object) -> tuple[int, str]:
        """Status, and the error's text."""
        status, answer = self._site.call("POST", f"/v1/heartbeat/{uuid}", body, version=RAMDISK_VERSION)
        return status, json.loads(answer["error_message"])["faultstring"] if answer else ""


def play(tally: Tally, site: Site, agent: Agent, mac: str) -> None:
    """The whole story; ends early where going on makes no sense."""
    ramdisk = Ramdisk(site)
    go = agent.directory / "go"
    node = Node(site, "machine", mac)
    with tally.case("a lookup before a ramdisk is expected finds nothing"):
        status, answer = ramdisk.look_up(mac)
        assert status == 404, answer
        assert "agent_token" not in str(answer), answer
    node.clean(str(go))
    agent.start()
    with tally.case("the agent looks its node up and gets the token"):
        wait_until(lambda: agent.said("Lookup succeeded, node UUID is " + node.uuid), "the agent's lookup")
        recorded = "Agent token recorded as designated by the ironic installation"
        wait_until(lambda: agent.said(recorded), "the token")
        assert [event["ok"] for event in node.events("lookup")] == [False, True]
    if tally.failed:
        return
    with tally.case("it heartbeats over TLS and announces its certificate"):
        beat = node.event("first heartbeat")
        assert beat["ok"] and beat["detail"] == "https://127.0.0.1:9999", beat
        info = node.shown()["driver_internal_info"]
        assert info["agent_url"] == "https://127.0.0.1:9999", info
        assert info["agent_version"] == "13.0.0", info
    with tally.case("its clean steps are asked for and merged"):
        asked = node.event("clean.get_clean_steps")
        assert asked["ok"] and asked["detail"] == "deploy.wait_for_file", asked
        step = node.shown()["clean_step"]
        assert step["step"] == "wait_for_file" and step["args"] == {"path": str(go)}, step
        versions = node.shown()["driver_internal_info"]["hardware_manager_version"]
        assert versions["WaitingHardwareManager"] == "1" and "generic_hardware_manager" in versions, versions
    with tally.case("the step is started"):
        wait_until(lambda: agent.said("wait_for_file"), "the step's start")
        node.reach("clean wait")
    if tally.failed:
        return
    impostors(tally, site, node, mac, agent)
    with tally.case("the step ends and the node is manageable again"):
        go.touch()
        node.reach("manageable")
        shown = node.shown()
        assert shown["last_error"] is None and shown["clean_step"] == {}, shown
        assert shown["power_state"] == "power off", shown["power_state"]
        done = node.event("deploy.wait_for_file")
        assert done["ok"], done
    with tally.case("with the work the token's time is over"):
        assert "agent_url" not in node.shown()["driver_internal_info"]
        status, answer = ramdisk.look_up(mac)
        assert status == 404, answer
        status, said = ramdisk.beat(node.uuid, callback_url="https://127.0.0.1:9999", agent_token=agent.token())
        assert (status, said) == (400, "Invalid or missing agent token received."), (status, said)


def changed(what: str) -> str:
    """The refusal of what an agent must not change."""
    return f'Detected change in ramdisk provided "{what}"'


def impostors(tally: Tally, site: Site, node: Node, mac: str, agent: Agent) -> None:
    """Whoever is not the agent, while its step runs."""
    ramdisk = Ramdisk(site)
    other_mac = mac[:-2] + "ff"
    other = Node(site, "other", other_mac)
    other.clean("/never")
    status, found = ramdisk.look_up(other_mac)
    others_token = found["config"]["agent_token"]
    before = node.shown()
    with tally.case("the first to look up gets a token, at once"):
        assert status == 200 and len(others_token) >= 32, found
    with tally.case("a replayed lookup gets stars"):
        status, answer = ramdisk.look_up(mac)
        assert status == 200 and answer["config"]["agent_token"] == MASK, answer
        assert answer["config"]["agent_token_required"] is True
    url = "https://127.0.0.1:9999"
    required = "Agent token is required for heartbeat processing."
    invalid = "Invalid or missing agent token received."
    elsewhere = "https://192.0.2.8:9999"
    for name, body, text in [
        ("the agent's own token, from elsewhere", {"agent_token": agent.token(), "callback_url": elsewhere}, changed("callback_url")),
        ("no token", {}, required),
        ("null for a token", {"agent_token": None}, required),
        ("a token that was made up", {"agent_token": "x" * 43}, invalid),
        ("the stars for a token", {"agent_token": MASK}, invalid),
        ("an empty token", {"agent_token": ""}, invalid),
        ("another node's token", {"agent_token": others_token}, invalid),
        ("a made-up token and certificate", {"agent_token": "x" * 43, "agent_verify_ca": "none"}, invalid),
    ]:
        with tally.case(f"a heartbeat with {name} is refused"):
            status, said = ramdisk.beat(node.uuid, **{"callback_url": url, **body})
            assert (status, said) == (400, text), (status, said)
    certificates = [(agent.directory.parent / name).read_text() for name in ("authority.pem", "certificate.pem")]
    right = {"callback_url": "https://192.0.2.7:9999", "agent_token": others_token, "agent_verify_ca": certificates[0]}
    for name, change, text in [
        ("without TLS", {"callback_url": "http://192.0.2.7:9999"}, "TLS is required by configuration"),
        ("and prose for a certificate", {"agent_verify_ca": "prose"}, "agent_verify_ca must be a certificate in PEM: "),
        ("", {}, None),
        ("from elsewhere", {"callback_url": elsewhere}, changed("callback_url")),
        ("with another certificate", {"agent_verify_ca": certificates[1]}, changed("agent_verify_ca")),
    ]:
        with tally.case(f"a heartbeat with the right token {name}".rstrip()):
            status, said = ramdisk.beat(other.uuid, **{**right, **change})
            assert (status == 400 and said.startswith(text)) if text else status == 202, (status, said)
    with tally.case("who came first stays"):
        assert other.shown()["driver_internal_info"]["agent_url"] == right["callback_url"]
    with tally.case("what was refused changed nothing of the node"):
        after = node.shown()
        differ = {key: (before[key], after[key]) for key in before if before[key] != after[key]}
        assert not differ, differ
    with tally.case("what was refused is in the event log, with the reason"):
        refused = [event for event in node.events("heartbeat") if not event["ok"]]
        assert any(required in event["detail"] for event in refused), refused
        assert any(invalid in event["detail"] for event in refused), refused
    with tally.case("an agent that lost its token gives up by itself"):
        with Agent(site.url, agent.authority, agent.directory.with_name("second"), port=9998) as second:
            second.start()
            wait_until(lambda: second.said("This is **FATAL**"), "the second agent's end")
            wait_until(lambda: second.said("in disabled mode"), "the second agent's lockdown")
            assert not second.said("Starting heartbeater"), "it goes on"
        assert node.shown()["driver_internal_info"]["agent_url"] == url
