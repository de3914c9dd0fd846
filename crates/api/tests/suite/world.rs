//! A site with Keystone in front, a token for each persona, and things of several projects: `owned` by one, `leased` to another,
//! `foreign` to both.

use crate::site::Site;
use crate::stub_keystone::{StubKeystone, body, project_id};
use jiff::Timestamp;
use model::allocation::Allocation;
use model::chassis::Chassis;
use model::deploy_template::DeployTemplate;
use model::driver::{Enabled, FAKE, resolve};
use model::inspection_rule::InspectionRule;
use model::node::Node;
use model::port::Port;
use model::portgroup::Portgroup;
use model::runbook::Runbook;
use model::volume::{VolumeConnector, VolumeTarget};
use serde_json::{Value, json};
use store::{NodeQuery, Query, Record, StoreError};
use uuid::Uuid;

/// Every persona: name, which is its token too, scope and roles.
pub const PERSONAS: &[(&str, &str, &[&str])] = &[
    ("system-admin", "system", ADMIN),
    ("system-member", "system", MEMBER),
    ("system-reader", "system", READER),
    ("system-service", "system", SERVICE),
    ("owner-admin", "owner", ADMIN),
    ("owner-manager", "owner", MANAGER),
    ("owner-member", "owner", MEMBER),
    ("owner-reader", "owner", READER),
    ("owner-service", "owner", SERVICE),
    ("lessee-admin", "lessee", ADMIN),
    ("lessee-manager", "lessee", MANAGER),
    ("lessee-member", "lessee", MEMBER),
    ("lessee-reader", "lessee", READER),
    ("lessee-service", "lessee", SERVICE),
    ("other-admin", "other", ADMIN),
    ("other-manager", "other", MANAGER),
    ("other-member", "other", MEMBER),
    ("other-reader", "other", READER),
    ("other-service", "other", SERVICE),
    ("service-project", "service", SERVICE),
    ("no-role", "owner", &[]),
];

const ADMIN: &[&str] = &["admin", "manager", "member", "reader"];
const MANAGER: &[&str] = &["manager", "member", "reader"];
const MEMBER: &[&str] = &["member", "reader"];
const READER: &[&str] = &["reader"];
const SERVICE: &[&str] = &["service"];

/// The site and what is in it.
pub struct World {
    pub keystone: StubKeystone,
    pub site: Site,
    names: Vec<(&'static str, Uuid)>,
}

impl World {
    /// A site with everything in it.
    pub async fn new() -> Self {
        let keystone = StubKeystone::start().await;
        for (name, scope, roles) in PERSONAS {
            keystone.knows(name, body(name, scope, roles));
        }
        let site = Site::with(keystone.auth()).await;
        let mut world = Self { keystone, site, names: Vec::new() };
        world.fill().await;
        world
    }

    /// A text with `{owned}`, `{leased_port}`, `{owner}` … replaced.
    pub fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, uuid) in &self.names {
            text = text.replace(&format!("{{{name}}}"), &uuid.to_string());
        }
        for project in ["owner", "lessee", "other"] {
            text = text.replace(&format!("{{{project}}}"), &project_id(project));
        }
        let named = |(at, _): (usize, &str)| text[at + 1..].starts_with(|c: char| c.is_ascii_lowercase());
        assert!(!text.match_indices('{').any(named), "{text} names something unknown");
        text
    }

    /// Everything as it was at first.
    pub async fn reset(&mut self) {
        self.site.store.release_all().await.unwrap();
        self.clear::<Allocation>().await;
        for node in self.nodes().await.iter().rev() {
            let gone = |_: &Node| Ok::<_, StoreError>(());
            self.site.store.delete_node(node.uuid, Timestamp::now(), gone).await.unwrap();
        }
        self.clear::<Chassis>().await;
        self.clear::<Runbook>().await;
        self.clear::<DeployTemplate>().await;
        self.clear::<InspectionRule>().await;
        self.names.clear();
        self.fill().await;
    }

    async fn nodes(&self) -> Vec<Node> {
        let query = NodeQuery { include_children: true, limit: 1000, ..NodeQuery::default() };
        self.site.store.nodes(&query).await.unwrap().into_iter().map(|row| row.node).collect()
    }

    async fn all<R: Record>(&self) -> Vec<R> {
        self.site.store.list(&Query::default()).await.unwrap()
    }

    async fn clear<R: Record>(&self) {
        for record in self.all::<R>().await {
            self.site.store.delete::<R>(record.uuid()).await.unwrap();
        }
    }

    /// All that is stored, to see that nothing changed.
    pub async fn snapshot(&self) -> Value {
        json!([
            self.nodes().await,
            self.all::<Port>().await,
            self.all::<Portgroup>().await,
            self.all::<VolumeConnector>().await,
            self.all::<VolumeTarget>().await,
            self.all::<Chassis>().await,
            self.all::<Allocation>().await,
            self.all::<Runbook>().await,
            self.all::<DeployTemplate>().await,
            self.all::<InspectionRule>().await,
        ])
    }

    async fn fill(&mut self) {
        self.node("unowned", None, None, None).await;
        let owned = self.node("owned", Some("owner"), None, None).await;
        self.node("hidden_child", None, None, Some(owned)).await;
        self.node("owned_child", Some("owner"), None, Some(owned)).await;
        let leased = self.node("leased", Some("owner"), Some("lessee"), None).await;
        let foreign = self.node("foreign", None, None, None).await;
        for (name, node) in [
            ("owned_port", owned),
            ("second_port", owned),
            ("leased_port", leased),
            ("foreign_port", foreign),
        ] {
            let uuid = self.name(name);
            let mac = format!("52:54:00:ff:00:{:02x}", self.names.len());
            let port = Port::new(uuid, node, mac, Timestamp::now());
            self.site.store.create(&port).await.unwrap();
        }
        for (n, (name, node)) in
            [("owned", owned), ("leased", leased), ("foreign", foreign)].into_iter().enumerate()
        {
            let group = json!({
                "node_uuid": node, "name": format!("group-of-{name}"), "mode": "active-backup", "properties": {}, "extra": {},
                "standalone_ports_supported": true,
            });
            self.record::<Portgroup>(["owned_portgroup", "leased_portgroup", "foreign_portgroup"][n], group)
                .await;
            let connector = json!({"node_uuid": node, "type": "iqn", "connector_id": format!("iqn.of.{name}"), "extra": {}});
            self.record::<VolumeConnector>(
                ["owned_connector", "leased_connector", "foreign_connector"][n],
                connector,
            )
            .await;
            let target = json!({
                "node_uuid": node, "volume_type": "iscsi", "volume_id": "v", "boot_index": 0, "extra": {},
                "properties": {"target_portal": "10.0.0.9"},
            });
            self.record::<VolumeTarget>(["owned_target", "leased_target", "foreign_target"][n], target).await;
        }
        self.record::<Chassis>("chassis", json!({"description": "d", "extra": {}})).await;
        for (name, node, owner) in
            [("owners_allocation", owned, "owner"), ("lessees_allocation", leased, "lessee")]
        {
            let allocation = json!({
                "node_uuid": node, "owner": project_id(owner), "resource_class": "CUSTOM_TEST", "state": "active", "traits": [],
                "candidate_nodes": [], "extra": {},
            });
            let uuid = self.record::<Allocation>(name, allocation).await;
            self.site
                .edit(node, |node| {
                    node.allocation_uuid = Some(uuid);
                    node.instance_uuid = Some(uuid.to_string());
                })
                .await;
        }
        let step =
            json!({"interface": "deploy", "step": "erase_devices", "args": {}, "order": 1, "priority": 1});
        for (name, owner) in
            [("owners_runbook", Some("owner")), ("lessees_runbook", Some("lessee")), ("public_runbook", None)]
        {
            let runbook = json!({
                "name": format!("CUSTOM_{}", name.to_uppercase()), "owner": owner.map(project_id), "public": owner.is_none(),
                "disable_ramdisk": false, "steps": [step], "traits": [], "extra": {},
            });
            self.record::<Runbook>(name, runbook).await;
        }
        let template = json!({"name": "CUSTOM_TEMPLATE", "steps": [step], "extra": {}});
        self.record::<DeployTemplate>("template", template).await;
        let rule = json!({
            "priority": 0, "phase": "main", "sensitive": false, "conditions": [],
            "actions": [{"op": "fail", "args": {"msg": "x"}}],
        });
        self.record::<InspectionRule>("rule", rule).await;
        self.names.push(("missing", Uuid::from_u128(0x99)));
    }

    fn name(&mut self, name: &'static str) -> Uuid {
        let uuid = Uuid::from_u128(0x4000_8000_0000_0000_0000 + self.names.len() as u128);
        self.names.push((name, uuid));
        uuid
    }

    /// Stores a record as it is written here, with an identity and a time of birth.
    async fn record<R: Record>(&mut self, name: &'static str, mut document: Value) -> Uuid {
        let uuid = self.name(name);
        document["uuid"] = json!(uuid);
        document["created_at"] = json!(Timestamp::UNIX_EPOCH);
        let record: R = serde_json::from_value(document).unwrap();
        self.site.store.create(&record).await.unwrap();
        uuid
    }

    async fn node(
        &mut self,
        name: &'static str,
        owner: Option<&str>,
        lessee: Option<&str>,
        parent: Option<Uuid>,
    ) -> Uuid {
        let uuid = self.name(name);
        let mut node = Node::new(uuid, FAKE, Timestamp::now());
        node.owner = owner.map(project_id);
        node.lessee = lessee.map(project_id);
        node.parent_node = parent;
        node.last_error = Some("the BMC at 10.0.0.7 said no".into());
        node.driver_info.insert("address".into(), "10.0.0.7".into());
        node.driver_info.insert("fake_password".into(), "s3cr3t".into());
        node.driver_internal_info.insert("inside".into(), true.into());
        node.traits.insert("CUSTOM_MEOW".into());
        let enabled = Enabled::with_hardware_types(&["ipmi", FAKE]).unwrap();
        node.interfaces = resolve(FAKE, &node.interfaces, &enabled, "", Some(uuid)).unwrap();
        self.site.store.create_node(&node, &[]).await.unwrap();
        uuid
    }
}
