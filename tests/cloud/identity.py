"""Users, projects, roles, domains, services, endpoints, application credentials, tokens, the catalog."""

import json

from .world import PASSWORD, World, among, same, says

FIRST_USERS = {"admin", "demo", "alt_demo", "nova", "neutron", "glance", "swift", "ironic", "placement"}
FIRST_PROJECTS = {"admin", "demo", "alt_demo", "service"}
SERVICES = {"identity", "image", "network", "compute", "placement", "object-store", "baremetal"}


def names(rows) -> set[str]:
    """The names in a list."""
    return {row["name"] for row in rows}


def cast(w: World) -> None:
    """Two tenants, alice and bob, members of a project each; every later act plays with them."""
    for user in ("alice", "bob"):
        project = w.admin.json("project create", "--description", f"of {user}", f"{user}s")
        same(project["description"], f"of {user}")
        made = w.admin.json("user create", "--project", f"{user}s", "--password", PASSWORD, "--email", f"{user}@rack", user)
        same((made["name"], made["default_project_id"], made["enabled"]), (user, project["id"], True))
        assert PASSWORD not in json.dumps(made), "a password is shown"
        w.admin("role add", "--user", user, "--project", f"{user}s", "member")
    w.alice, w.bob = w.user("alice", "alices"), w.user("bob", "bobs")
    w.project = w.admin.json("project show", "alices")["id"]


def users(w: World) -> None:
    """``user``, and passwords."""
    found = names(w.admin.json("user list"))
    assert FIRST_USERS <= found, f"missing: {FIRST_USERS - found}"
    made = w.admin.json("user create", "--password", PASSWORD, "--description", "the third", "carol")
    w.admin("user set", "--email", "carol@rack", "--description", "third", "carol")
    shown = w.admin.json("user show", "carol")
    same((shown["id"], shown["email"], shown["description"]), (made["id"], "carol@rack", "third"))
    same(shown["domain_id"], "default")
    same(names(w.admin.json("user list", "--project", "alices")), {"alice"})
    says(w.admin.refused("user create", "--password", PASSWORD, "carol"), "409", "carol")
    w.admin("user set", "--disable", "carol")
    w.admin("role add", "--user", "carol", "--project", "alices", "member")
    says(w.user("carol", "alices").refused("token issue"), "401")
    w.admin("user set", "--enable", "--name", "carola", "carol")
    w.user("carola", "alices")("token issue")
    w.user("carola", "alices")("user password set", "--password", "Another one 2?", "--original-password", PASSWORD)
    says(w.user("carola", "alices").refused("token issue"), "401")
    w.user("carola", "alices", "Another one 2?")("token issue")
    says(w.user("carola", "alices", "Another one 2?").refused("user password set", "--password", "x y z", "--original-password", "no"), "40")
    w.admin("user delete", "carola")
    says(w.admin.refused("user show", "carola"), "carola")
    # What a stranger is told is the same for a user that is there and for one that is not.
    wrong = w.user("alice", "alices", "wrong").refused("token issue")
    nobody = w.user("nobody-of-that-name", "alices", "wrong").refused("token issue")
    strip = lambda text: text.split("Request-ID")[0].split("(HTTP")[0]  # noqa: E731
    same(strip(wrong), strip(nobody))
    says(w.alice.refused("user list"), "403")


def projects(w: World) -> None:
    """``project``."""
    found = names(w.admin.json("project list"))
    assert FIRST_PROJECTS <= found, f"missing: {FIRST_PROJECTS - found}"
    made = w.admin.json("project create", "--description", "spare", "--property", "floor=2", "--tag", "blue", "spare")
    same((made["name"], made["enabled"], made["domain_id"]), ("spare", True, "default"))
    same(made["tags"], ["blue"])
    w.admin("project set", "--description", "spare parts", "--property", "floor=3", "--tag", "red", "spare")
    shown = w.admin.json("project show", "spare")
    same((shown["description"], shown["floor"], sorted(shown["tags"])), ("spare parts", "3", ["blue", "red"]))
    same(names(w.admin.json("project list", "--tags", "red")), {"spare"})
    same(names(w.alice.json("project list", "--my-projects")), {"alices"})
    says(w.admin.refused("project create", "spare"), "409")
    same(w.admin.json("project create", "--or-show", "spare")["id"], made["id"])
    says(w.alice.refused("project create", "mine"), "403")
    w.admin("project delete", "spare")
    says(w.admin.refused("project show", "spare"), "spare")


def roles(w: World) -> None:
    """``role`` and assignments."""
    assert {"admin", "member", "reader"} <= names(w.admin.json("role list"))
    made = w.admin.json("role create", "--description", "sweeps", "sweeper")
    w.admin("role set", "--name", "cleaner", "--description", "cleans", "sweeper")
    shown = w.admin.json("role show", "cleaner")
    same((shown["id"], shown["description"]), (made["id"], "cleans"))
    w.admin("role add", "--user", "alice", "--project", "alices", "cleaner")
    rows = w.admin.json("role assignment list", "--user", "alice", "--names")
    same({row["role"] for row in rows}, {"member", "cleaner"})
    same({row["project"] for row in rows}, {"alices@Default"})
    w.admin("role remove", "--user", "alice", "--project", "alices", "cleaner")
    same({row["role"] for row in w.admin.json("role assignment list", "--user", "alice", "--names")}, {"member"})
    says(w.admin.refused("role add", "--user", "alice", "--project", "alices", "no-such-role"), "no-such-role")
    # The client is silent about a refused grant; what counts is that nothing was granted.
    w.alice("role add", "--user", "alice", "--project", "alices", "--role-domain", "Default", "admin")
    same({row["role"] for row in w.admin.json("role assignment list", "--user", "alice", "--names")}, {"member"})
    w.admin("role delete", "cleaner")
    says(w.admin.refused("role show", "cleaner"), "cleaner")


def domains(w: World) -> None:
    """``domain``: only a disabled one can be deleted."""
    among("Default", names(w.admin.json("domain list")))
    made = w.admin.json("domain create", "--description", "elsewhere", "annex")
    w.admin("domain set", "--description", "the annex", "annex")
    same(w.admin.json("domain show", "annex")["description"], "the annex")
    w.admin("user create", "--domain", "annex", "--password", PASSWORD, "alice")
    same(names(w.admin.json("user list", "--domain", "annex")), {"alice"})
    says(w.admin.refused("domain delete", "annex"), "403")
    w.admin("domain set", "--disable", "annex")
    w.admin("domain delete", made["id"])
    says(w.admin.refused("domain show", "annex"), "annex")


def catalog(w: World) -> None:
    """``catalog``, ``service`` and ``endpoint``: a new service appears to everybody."""
    types = {row["type"] for row in w.alice.json("catalog list")}
    assert SERVICES <= types, f"missing: {SERVICES - types}"
    shown = w.alice.json("catalog show", "compute")
    assert any(entry["url"].startswith(w.site.url) for entry in shown["endpoints"]), shown
    assert SERVICES <= {row["type"] for row in w.admin.json("service list")}
    made = w.admin.json("service create", "--name", "dns", "--description", "names", "dns")
    w.admin("service set", "--description", "names of machines", "dns")
    same(w.admin.json("service show", "dns")["description"], "names of machines")
    region = w.admin.json("endpoint list")[0]["region"]
    endpoint = w.admin.json("endpoint create", "--region", region, "dns", "public", "http://127.0.0.1:9001")
    same((endpoint["service_type"], endpoint["interface"]), ("dns", "public"))
    w.admin("endpoint set", "--url", "http://127.0.0.1:9002", endpoint["id"])
    same(w.admin.json("endpoint show", endpoint["id"])["url"], "http://127.0.0.1:9002")
    among(endpoint["id"], {row["id"] for row in w.admin.json("endpoint list", "--service", "dns")})
    same(w.bob.json("catalog show", "dns")["endpoints"][0]["url"], "http://127.0.0.1:9002")
    says(w.admin.refused("endpoint create", "--region", region, "no-such-service", "public", "http://x"), "no-such-service")
    says(w.alice.refused("endpoint list"), "403")
    w.admin("endpoint delete", endpoint["id"])
    w.admin("service delete", made["id"])
    assert "dns" not in {row["type"] for row in w.bob.json("catalog list")}


def federation(w: World) -> None:
    """``service provider delete`` is silent about what is not there."""
    w.admin("service provider delete", "nobody")


def application_credentials(w: World) -> None:
    """``application credential``: it logs in with its secret, and no longer when it is gone."""
    made = w.alice.json("application credential create", "--description", "for scripts", "--role", "member", "robot")
    shown = w.alice.json("application credential show", "robot")
    same((shown["id"], shown["description"], shown["project_id"]), (made["id"], "for scripts", w.project))
    assert not shown.get("secret"), "a secret is shown again"
    same(names(w.alice.json("application credential list")), {"robot"})
    same(w.bob.json("application credential list"), [])
    robot = w.user("", "")
    url = robot.options[1]
    login = ["--os-auth-type", "v3applicationcredential", "--os-auth-url", url]
    # A secret may begin with a dash.
    robot.options = [*login, "--os-application-credential-id", made["id"], f"--os-application-credential-secret={made['secret']}"]
    same(robot.json("token issue")["project_id"], w.project)
    says(w.alice.refused("application credential create", "robot"), "409")
    says(w.bob.refused("application credential show", made["id"]), made["id"])
    w.alice("application credential delete", "robot")
    says(robot.refused("token issue"), "40")


def tokens(w: World) -> None:
    """``token``: what is revoked is worth nothing."""
    issued = w.alice.json("token issue")
    same(issued["project_id"], w.project)
    holder = w.user("", "")
    holder.options = ["--os-auth-type", "token", "--os-auth-url", holder.options[1], "--os-token", issued["id"], "--os-project-id", w.project]
    same(holder.json("token issue")["user_id"], issued["user_id"])
    w.admin("token revoke", issued["id"])
    says(holder.refused("token issue"), "40")
    holder.options[5] = "gAAAA-made-up"
    says(holder.refused("token issue"), "40")


def clean_up(w: World) -> None:
    """``project cleanup`` of bob's, who owns a network."""
    w.bob("network create", "forgotten")
    said = w.bob("project cleanup", "--dry-run", "--auth-project")
    says(said, "forgotten")
    among("forgotten", names(w.bob.json("network list")))
    w.bob("project cleanup", "--auto-approve", "--auth-project")
    assert "forgotten" not in names(w.bob.json("network list"))


ACTS = [users, projects, roles, domains, catalog, federation, application_credentials, tokens]
#: Played when everything else has been.
LAST_ACTS = [clean_up]
