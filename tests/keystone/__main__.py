"""Billet with the real Keystone: system and project scope, roles, other projects, tokens that are made up, revoked or expired, and a
Keystone that is gone. Everything runs on loopback, over TLS, and is ended with this script.

Run as ``python3 -m tests.keystone``. Keystone is installed from PyPI into a virtual environment, once; BILLET says which binary is
tested (default: target/release/billet).
"""

import contextlib
import http.client
import json
import os
import pathlib
import ssl
import subprocess
import tempfile
import time

from ..support.site import Site, end, free_port
from ..support.tally import Tally
from ..support.venv import ensure

HERE = pathlib.Path(__file__).resolve().parent
KEYSTONE = "keystone==30.0.0"
LIMIT = 60
PASSWORD = "s3cr3t-of-the-test"


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


def until(what, check, limit=LIMIT):
    """Waits until `check` gives something, and gives it back."""
    end = time.monotonic() + limit
    while True:
        found = check()
        if found:
            return found
        expect(time.monotonic() < end, f"{what}: not within {limit} s")
        time.sleep(0.05)


class Keystone:
    """The real one, with SQLite and Fernet tokens, in a directory of its own."""

    def __init__(self, venv, directory):
        self.venv = venv
        self.directory = directory
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.process = None
        self.config = directory / "keystone.conf"
        for name in ("fernet", "credential"):
            (directory / name).mkdir(mode=0o700)
        self.configure(expiration=3600)
        subprocess.run([self.venv / "bin/python", HERE / "certificates.py", directory], check=True)
        self.authority = directory / "authority.pem"
        self.manage("db_sync")
        self.manage("fernet_setup", "--keystone-user", user(), "--keystone-group", group())
        self.manage("credential_setup", "--keystone-user", user(), "--keystone-group", group())
        urls = [f"--bootstrap-{kind}-url={self.url}/v3/" for kind in ("admin", "internal", "public")]
        self.manage("bootstrap", "--bootstrap-password", PASSWORD, "--bootstrap-region-id", "here", *urls)

    def configure(self, expiration):
        self.config.write_text(
            f"""[DEFAULT]
log_file = {self.directory}/keystone.log
max_token_size = 255
[database]
connection = sqlite:///{self.directory}/keystone.db
[fernet_tokens]
key_repository = {self.directory}/fernet
[credential]
key_repository = {self.directory}/credential
[identity]
password_hash_rounds = 4
[token]
expiration = {expiration}
allow_expired_window = 600
"""
        )

    def manage(self, *arguments):
        command = [self.venv / "bin/keystone-manage", "--config-file", self.config, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.directory)
        expect(done.returncode == 0, f"keystone-manage {arguments[0]}: {done.stderr[-2000:]}")

    def start(self):
        files = [self.config, self.directory / "certificate.pem", self.directory / "key.pem"]
        command = [self.venv / "bin/python", HERE / "serve_keystone.py", *files, str(self.port)]
        log = open(self.directory / "server.log", "a")
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=self.directory
        )
        log.close()
        expect(self.process.stdout.readline() == "ready\n", "Keystone did not start")

    def stop(self):
        end(self.process)

    def call(self, method, path, body=None, token=None, subject=None):
        """Answers (status, headers, body)."""
        context = ssl.create_default_context(cafile=self.authority)
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=LIMIT, context=context)
        headers = {"Content-Type": "application/json", "Connection": "close"}
        if token:
            headers["X-Auth-Token"] = token
        if subject:
            headers["X-Subject-Token"] = subject
        return exchange(connection, method, f"/v3{path}", body, headers)

    def make(self, kind, **fields):
        status, _, body = self.call("POST", f"/{kind}s", {kind: fields}, self.root)
        expect(status == 201, f"making a {kind}: {status} {body}")
        return body[kind]["id"]

    def token(self, name, scope):
        """Logs in; scope is `system`, a project's name, or none."""
        who = {"name": name, "domain": {"id": "default"}, "password": PASSWORD}
        auth = {"identity": {"methods": ["password"], "password": {"user": who}}}
        if scope == "system":
            auth["scope"] = {"system": {"all": True}}
        elif scope:
            auth["scope"] = {"project": {"name": scope, "domain": {"id": "default"}}}
        status, headers, body = self.call("POST", "/auth/tokens", {"auth": auth})
        expect(status == 201, f"{name} logs in for {scope}: {status} {body}")
        return headers["X-Subject-Token"]

    def populate(self):
        """Users, projects and roles; each user is named by what it may do."""
        self.root = self.token("admin", "system")
        _, _, body = self.call("GET", "/roles", token=self.root)
        roles = {role["name"]: role["id"] for role in body["roles"]}
        projects = {name: self.make("project", name=name, domain_id="default") for name in ("owner", "other", "service")}
        grants = {
            "sysreader": ("system", "reader"),
            "padmin": ("owner", "admin"),
            "pmember": ("owner", "member"),
            "preader": ("owner", "reader"),
            "stranger": ("other", "admin"),
            "nova": ("service", "service"),
            "billet": ("service", "service"),
            "idle": (None, None),
        }
        for name, (scope, role) in grants.items():
            user_id = self.make("user", name=name, password=PASSWORD, domain_id="default")
            if scope == "system":
                place = f"/system/users/{user_id}/roles/{roles[role]}"
            elif scope:
                place = f"/projects/{projects[scope]}/users/{user_id}/roles/{roles[role]}"
            else:
                continue
            status, _, body = self.call("PUT", place, token=self.root)
            expect(status == 204, f"granting {role} to {name}: {status} {body}")
        self.projects = projects


class Billet:
    """`billet serve` with that Keystone in front."""

    def __init__(self, keystone, password=PASSWORD, authority=True):
        authority = f'ca_file = "{keystone.authority}"' if authority else ""
        configuration = f"""
[api]
auth = "keystone"
enabled_hardware_types = ["ipmi", "fake-hardware"]
service_project = "service"
[keystone]
url = "{keystone.url}/v3"
username = "billet"
password = "{password}"
project = "service"
token_cache_seconds = 2
{authority}
[netboot]
enabled = false
"""
        self.site = Site(configuration)
        self.site.start()

    def stop(self):
        self.site.__exit__(None, None, None)

    def said(self):
        return self.site.log.read_text()

    def call(self, method, path, body=None, token=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.site.port, timeout=LIMIT)
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        headers |= {"X-OpenStack-Ironic-API-Version": "1.115", "Content-Type": "application/json"}
        if token is not None:
            headers["X-Auth-Token"] = token
        return exchange(connection, method, path, body, headers)

    def status(self, method, path, body=None, token=None, **headers):
        return self.call(method, path, body, token, **headers)[0]


def exchange(connection, method, path, body, headers):
    with contextlib.closing(connection):
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        raw = response.read()
    try:
        parsed = json.loads(raw) if raw else None
    except ValueError:
        parsed = raw.decode(errors="replace")
    return response.status, response.headers, parsed


def user():
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name


def group():
    import grp

    return grp.getgrgid(os.getgid()).gr_name


# The tests, in order: each may use what the ones before left.


def nobody_gets_in_without_a_token(keystone, billet):
    status, headers, body = billet.call("GET", "/v1/nodes")
    expect(status == 401, status)
    expect(headers["WWW-Authenticate"] == f'Keystone uri="{keystone.url}"', headers["WWW-Authenticate"])
    expect("requires authentication" in body["error_message"], body)
    expect(billet.status("GET", "/v1") == 200, "discovery is public")
    expect(billet.status("GET", "/v1/nodes", token="gAAAAABmade-up") == 401, "a made-up token")
    expect(billet.status("GET", "/v1/nodes", token="x" * 50_000) in (401, 431), "an endless token")


def the_system_administers(keystone, billet):
    token = keystone.token("admin", "system")
    expect(billet.status("GET", "/v1/drivers", token=token) == 200, "drivers")
    for name, owner in (("mine", keystone.projects["owner"]), ("nobodys", None)):
        body = {"driver": "fake-hardware", "name": name, "owner": owner}
        status, _, made = billet.call("POST", "/v1/nodes", body, token)
        expect(status == 201 and made["owner"] == owner, (status, made))


def an_admin_of_the_project_admin_is_an_operator(keystone, billet):
    token = keystone.token("admin", "admin")
    expect(billet.status("GET", "/v1/drivers", token=token) == 200, "drivers")
    _, _, body = billet.call("GET", "/v1/nodes", token=token)
    expect(len(body["nodes"]) == 2, body)


def a_system_reader_reads(keystone, billet):
    token = keystone.token("sysreader", "system")
    expect(billet.status("GET", "/v1/nodes/nobodys", token=token) == 200, "any node")
    expect(billet.status("PUT", "/v1/nodes/nobodys/maintenance", {}, token) == 403, "changing it")
    expect(billet.status("POST", "/v1/nodes", {"driver": "fake-hardware"}, token) == 403, "creating one")


def roles_within_a_project_count(keystone, billet):
    admin, member, reader = (keystone.token(name, "owner") for name in ("padmin", "pmember", "preader"))
    for token in (admin, member, reader):
        _, _, body = billet.call("GET", "/v1/nodes", token=token)
        expect([node["name"] for node in body["nodes"]] == ["mine"], body)
        expect(billet.status("GET", "/v1/nodes/nobodys", token=token) == 404, "what is not theirs")
        expect(billet.status("GET", "/v1/drivers", token=token) == 403, "drivers")
    power = ("PUT", "/v1/nodes/mine/states/power", {"target": "power on"})
    expect(billet.status(*power, reader) == 403, "a reader switches on")
    expect(billet.status(*power, member) == 202, "a member switches on")
    traits = ("PUT", "/v1/nodes/mine/traits", {"traits": ["CUSTOM_GOLD"]})
    expect(billet.status(*traits, member) == 403, "a member sets traits")
    expect(billet.status(*traits, admin) == 204, "an admin sets traits")
    owner = [{"op": "replace", "path": "/owner", "value": "x"}]
    expect(billet.status("PATCH", "/v1/nodes/mine", owner, admin) == 403, "an admin gives a node away")
    status, _, made = billet.call("POST", "/v1/nodes", {"driver": "fake-hardware", "name": "new"}, admin)
    expect(status == 201 and made["owner"] == keystone.projects["owner"], (status, made))
    expect(billet.status("DELETE", "/v1/nodes/new", token=member) == 403, "a member deletes")
    expect(billet.status("DELETE", "/v1/nodes/new", token=admin) == 204, "an admin deletes")


def another_project_finds_nothing(keystone, billet):
    token = keystone.token("stranger", "other")
    _, _, body = billet.call("GET", "/v1/nodes/detail", token=token)
    expect(body["nodes"] == [], body)
    status, _, body = billet.call("DELETE", "/v1/nodes/mine", token=token)
    expect(status == 404 and "mine could not be found" in body["error_message"], (status, body))
    port = {"address": "52:54:00:00:00:01", "node_uuid": "11111111-1111-4111-8111-111111111111"}
    expect(billet.status("POST", "/v1/ports", port, token) == 403, "a port on a node that is not theirs")


def a_token_without_a_scope_opens_nothing(keystone, billet):
    token = keystone.token("idle", None)
    expect(billet.status("GET", "/v1/nodes", token=token) == 403, "nodes")
    expect(billet.status("GET", "/v1/nodes/mine", token=token) == 404, "a node")


def other_services_of_the_cloud_reach_every_node(keystone, billet):
    token = keystone.token("nova", "service")
    _, _, body = billet.call("GET", "/v1/nodes", token=token)
    expect(len(body["nodes"]) == 2, body)
    vif = {"id": "11111111-1111-4111-8111-111111111111"}
    expect(billet.status("POST", "/v1/nodes/nobodys/vifs", vif, token) == 400, "no free port, and no refusal")
    expect(billet.status("DELETE", "/v1/nodes/nobodys", token=token) == 403, "deleting a node")


def restricted_credentials_open_nothing(keystone, billet):
    """Application credentials with access rules are refused as long as Billet does not know such rules."""
    token = keystone.token("padmin", "owner")
    _, _, body = keystone.call("GET", "/users?name=padmin", token=keystone.root)
    user_id = body["users"][0]["id"]
    made = {}
    for name, rules in (("free", None), ("bound", [{"service": "baremetal", "method": "GET", "path": "/v1/nodes"}])):
        wish = {"name": name, "secret": PASSWORD}
        if rules:
            wish["access_rules"] = rules
        status, _, body = keystone.call(
            "POST", f"/users/{user_id}/application_credentials", {"application_credential": wish}, token
        )
        expect(status == 201, (status, body))
        credential = {"id": body["application_credential"]["id"], "secret": PASSWORD}
        identity = {"methods": ["application_credential"], "application_credential": credential}
        status, headers, body = keystone.call("POST", "/auth/tokens", {"auth": {"identity": identity}})
        expect(status == 201, (status, body))
        made[name] = headers["X-Subject-Token"]
    expect(billet.status("GET", "/v1/nodes", token=made["free"]) == 200, "without rules")
    expect(billet.status("PUT", "/v1/nodes/mine/maintenance", {}, made["bound"]) == 401, "with rules")


def a_revoked_token_is_soon_of_no_use(keystone, billet):
    token = keystone.token("sysreader", "system")
    expect(billet.status("GET", "/v1/nodes", token=token) == 200, "before")
    status, _, _ = keystone.call("DELETE", "/auth/tokens", token=token, subject=token)
    expect(status == 204, status)
    began = time.monotonic()
    until("it is refused", lambda: billet.status("GET", "/v1/nodes", token=token) == 401, 10)
    took = time.monotonic() - began
    expect(took < 5, f"it took {took:.1f} s with a cache of 2 s")


def no_token_is_logged(keystone, billet):
    for scope in ("system", "admin"):
        token = keystone.token("admin", scope)
        billet.status("GET", "/v1/nodes", token=token)
        expect(token not in billet.said(), "a token in the log")
    expect(PASSWORD not in billet.said(), "a password in the log")


def nobody_gets_in_while_keystone_is_gone(keystone, billet):
    token = keystone.token("admin", "system")
    keystone.stop()
    status, headers, body = billet.call("GET", "/v1/nodes", token=token)
    expect(status == 503, status)
    expect(keystone.url in body["error_message"] and "temporarily unavailable" in body["error_message"], body)
    expect("can't be reached" in billet.said() and "keystone.url" in billet.said(), billet.said()[-2000:])
    expect(billet.status("GET", "/healthcheck") == 200, "the health check needs no Keystone")
    keystone.start()
    until("it is believed again", lambda: billet.status("GET", "/v1/nodes", token=token) == 200, 20)


def an_expired_token_is_refused_and_one_of_our_own_renewed(keystone, billet):
    keystone.stop()
    keystone.configure(expiration=4)
    keystone.start()
    token = keystone.token("sysreader", "system")
    expect(billet.status("GET", "/v1/nodes", token=token) == 200, "fresh")
    until("it is refused", lambda: billet.status("GET", "/v1/nodes", token=token) == 401, 20)
    # By now the service user's token is old too.
    fresh = keystone.token("sysreader", "system")
    expect(billet.status("GET", "/v1/nodes", token=fresh) == 200, "fresh again")
    nova = keystone.token("nova", "service")
    expect(
        billet.status("GET", "/v1/nodes", token=token, X_Service_Token=nova) == 200,
        "another service ends what the user began",
    )
    expect(billet.status("GET", "/v1/nodes", token=token, X_Service_Token="made-up") == 401, "a made-up service")


def a_wrong_password_is_told_at_the_start(keystone, billet):
    other = Billet(keystone, password="not-" + PASSWORD)
    try:
        said = until("it says so", lambda: "refuses the user" in other.said() and other.said())
        expect("username, password" in said and "[keystone]" in said and PASSWORD not in said, said)
        expect(other.status("GET", "/v1/nodes", token="x") == 503, "a token")
    finally:
        other.stop()


def an_unknown_authority_is_not_trusted(keystone, billet):
    other = Billet(keystone, authority=False)
    try:
        until("it says so", lambda: "keystone.ca_file" in other.said())
        expect(other.status("GET", "/v1/nodes", token="x") == 503, "a token")
    finally:
        other.stop()


def a_configuration_without_keystone_is_refused(keystone, billet, directory):
    for text, word in (
        ('[api]\nauth = "keystone"\n', "[keystone]"),
        ('[api]\nauth = "keystone"\n[keystone]\nurl = "k"\nusername = "u"\nproject = "p"\n', "password"),
        ('[api]\nauth = "keystone"\n[keystone]\nurl = "k"\nusername = "u"\npassword = "p"\nproject = "p"\n', "keystone.url"),
    ):
        config = directory / "bad.toml"
        config.write_text(text + "[netboot]\nenabled = false\n")
        command = [billet.site.binary, "serve", "--config", config, "--listen", "127.0.0.1:0", "--state-dir", directory / "bad"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
        expect(done.returncode != 0 and word in done.stderr, (word, done.stderr))


TESTS = [
    nobody_gets_in_without_a_token,
    the_system_administers,
    an_admin_of_the_project_admin_is_an_operator,
    a_system_reader_reads,
    roles_within_a_project_count,
    another_project_finds_nothing,
    a_token_without_a_scope_opens_nothing,
    other_services_of_the_cloud_reach_every_node,
    restricted_credentials_open_nothing,
    a_revoked_token_is_soon_of_no_use,
    no_token_is_logged,
    nobody_gets_in_while_keystone_is_gone,
    a_wrong_password_is_told_at_the_start,
    an_unknown_authority_is_not_trusted,
    a_configuration_without_keystone_is_refused,
    an_expired_token_is_refused_and_one_of_our_own_renewed,
]


def main():
    venv = ensure("keystone", [KEYSTONE])
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="billet-keystone-") as name, contextlib.ExitStack() as stack:
        directory = pathlib.Path(name)
        (directory / "keystone").mkdir()
        keystone = Keystone(venv, directory / "keystone")
        stack.callback(keystone.stop)
        keystone.start()
        keystone.populate()
        billet = Billet(keystone)
        stack.callback(billet.stop)
        for test in TESTS:
            arguments = [keystone, billet, directory][: test.__code__.co_argcount]
            with tally.case(test.__name__.replace("_", " ")):
                test(*arguments)
        if tally.failed:
            print(f"--- the end of Billet's log\n{billet.said()[-4000:]}")
    tally.end()


main()
