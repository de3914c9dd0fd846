//! The same walk with today's commands: an operator enrols a machine that boots by UEFI and offers it as a flavor; a tenant, who never
//! hears of it, asks for a server with the image of a whole disk, a key and user data.

use super::inside::{EPHEMERAL_GIB, ROOT_GIB, SWAP_MIB, look_by_user_data};
use super::{
    CALL_LIMIT, Clients, KERNEL_PARAMETERS, Login, NETWORK, PHYSICAL_NETWORK, POOL, SERVER, UserImage, Walk,
    address, field, is, lists,
};
use crate::demo::{Key, Limits, table};
use crate::error::{Error, Result};
use crate::image::BootFiles;
use crate::network::GATEWAY;
use crate::qemu::Firmware;
use crate::rack::Node;

/// The node's name.
const NODE: &str = "node2";
/// How the operator's commands, and then the tenant's, log in: by the file that the first start wrote.
const OPERATOR: &str = "export OS_CLIENT_CONFIG_FILE=$PWD/clouds.yaml OS_CLOUD=billet";
const TENANT: &str = "export OS_CLIENT_CONFIG_FILE=$PWD/clouds.yaml OS_CLOUD=demo";
/// Written by the user data on the machine.
const MARKER_FILE: &str = "/run/walk-marker";

impl Walk<'_> {
    /// All of it. With `keep` it ends with the server in the tenant's hands.
    ///
    /// # Errors
    /// The first step's that failed.
    pub async fn today(&mut self, node: &Node, image: &UserImage, key: &Key, keep: bool) -> Result<()> {
        let limits = Limits::of(image.kind);
        self.terminal.profile(OPERATOR);
        self.prepare_network().await?;
        self.upload_image(image).await?;
        let uuid = self.enrol_today(node, limits).await?;
        self.offer(image).await?;
        self.become_tenant(key).await?;
        let login = self.order(image, limits).await?;
        let login = Login { key: key.path().to_path_buf(), ..login };
        let boot = self.visit(node, &login, limits, None).await?;
        self.read_user_data(node, &login, limits).await?;
        self.ask_metadata(&login).await?;
        if image.kind.is_partition() {
            self.look_at_partitions(node, &login, limits).await?;
        }
        self.look_as_tenant().await?;
        if keep {
            return Ok(());
        }
        let step = self.step("Reboot the server");
        // A reset drops what the system has not written yet: its host keys are a minute old.
        login.run("sync").await?;
        self.types_with(
            Clients::Today,
            &step.0,
            &format!("openstack server reboot --hard --wait {SERVER}"),
            limits.boot,
        )
        .await?;
        self.end(step, "reboot", "");
        self.visit(node, &login, limits, Some(&boot)).await?;
        self.leave(&uuid, limits).await
    }

    async fn prepare_network(&mut self) -> Result<()> {
        let step = self.step("The machines' network, by today's client and clouds.yaml");
        step.0.shows("$ ", OPERATOR);
        let said = self
            .types(
                &step,
                &format!(
                    "openstack network create --share --provider-network-type flat \
                     --provider-physical-network {PHYSICAL_NETWORK} {NETWORK}"
                ),
            )
            .await?;
        let network = field(&said, "id")?.to_string();
        let said = self
            .types(
                &step,
                &format!(
                    "openstack subnet create --network {NETWORK} --subnet-range 10.77.0.0/24 --gateway {GATEWAY} \
                     --allocation-pool start={},end={} --dns-nameserver {GATEWAY} subnet1",
                    POOL.0, POOL.1
                ),
            )
            .await?;
        is("the subnet's network", field(&said, "network_id")?, &network)?;
        let said = self.types(&step, "openstack network agent list").await?;
        lists(&said, "Agent Type", &["DHCP agent"])?;
        self.end(step, "network", &network);
        Ok(())
    }

    async fn upload_image(&mut self, image: &UserImage) -> Result<()> {
        let name = image.kind.name();
        self.terminal.put(&image.path, &format!("{name}.raw"))?;
        let mut beside = String::new();
        if image.kind.is_partition() {
            let files = BootFiles::beside(&image.path);
            let step = self.step("Kernel and ramdisk of a partition image");
            for (property, format, file) in
                [("kernel_id", "aki", &files.kernel), ("ramdisk_id", "ari", &files.ramdisk)]
            {
                self.terminal.put(file, &format!("{name}.{format}"))?;
                let line = format!(
                    "openstack image create --public --disk-format {format} --container-format {format} \
                     --file {name}.{format} {name}.{format}"
                );
                let said = self.types(&step, &line).await?;
                beside += &format!("--property {property}={} ", field(&said, "id")?);
            }
            self.end(step, "upload kernel, ramdisk", "");
        }
        let step = self.step(match image.kind.is_partition() {
            true => "The image: a file system",
            false => "The image of a whole disk",
        });
        let said = self
            .types(
                &step,
                &format!(
                    "openstack image create --public --disk-format raw --container-format bare {beside}--file {name}.raw {name}"
                ),
            )
            .await?;
        let id = field(&said, "id")?.to_string();
        let said = self.types(&step, &format!("openstack image show {name}")).await?;
        is("the image's status", field(&said, "status")?, "active")?;
        self.end(step, "upload image", &id);
        Ok(())
    }

    async fn enrol_today(&mut self, node: &Node, limits: Limits) -> Result<String> {
        let info = &node.info;
        let boot_mode = match info.firmware {
            Firmware::Bios => "bios",
            Firmware::Uefi => "uefi",
        };
        let step = self.step(&format!("Enrol the machine by its BMC's address, {}", info.bmc_address));
        let said = self
            .types(
                &step,
                &format!(
                    "openstack baremetal node create --driver ipmi --name {NODE} --resource-class baremetal \
                     --driver-info ipmi_address={} --driver-info ipmi_username={} --driver-info ipmi_password={} \
                     --driver-info {KERNEL_PARAMETERS} \
                     --property cpu_arch=x86_64 --property capabilities=boot_mode:{boot_mode}",
                    info.bmc_address, info.bmc_user, info.bmc_password
                ),
            )
            .await?;
        let uuid = field(&said, "uuid")?.to_string();
        self.types(&step, &format!("openstack baremetal port create --node {uuid} {}", info.mac)).await?;
        self.end(step, "enrol", &uuid);

        self.watch(NODE).await;
        let step = self.step(
            "Manage: log in to the BMC. Provide: boot the ramdisk over the network and clean the disks",
        );
        self.types(&step, &format!("openstack baremetal node manage {NODE}")).await?;
        self.node_becomes(&step, "manageable", limits).await?;
        self.types(&step, &format!("openstack baremetal node provide {NODE}")).await?;
        self.node_becomes(&step, "available", limits).await?;
        self.end(step, "clean", "available");
        Ok(uuid)
    }

    async fn offer(&mut self, image: &UserImage) -> Result<()> {
        let step =
            self.step("Offer such machines as a flavor: one of the resource class, whatever it is made of");
        let ram = if image.kind.is_debian() { 1024 } else { 512 };
        let disk = match image.kind.is_partition() {
            true => format!("--disk {ROOT_GIB} --swap {SWAP_MIB} --ephemeral {EPHEMERAL_GIB}"),
            false => "--disk 8".to_owned(),
        };
        self.types(&step, &format!("openstack flavor create --ram {ram} --vcpus 1 {disk} bm.small")).await?;
        self.types(
            &step,
            "openstack flavor set --property resources:CUSTOM_BAREMETAL=1 --property resources:VCPU=0 \
             --property resources:MEMORY_MB=0 --property resources:DISK_GB=0 bm.small",
        )
        .await?;
        self.end(step, "flavor", "");
        Ok(())
    }

    async fn become_tenant(&mut self, key: &Key) -> Result<()> {
        let step = self.step("Now the tenant: demo, of the project demo");
        step.0.shows("$ ", TENANT);
        self.terminal.profile(TENANT);
        std::fs::write(self.terminal.directory().join("tenant.pub"), format!("{}\n", key.public()))
            .map_err(Error::io("writing", self.terminal.directory()))?;
        self.types(&step, "openstack keypair create --public-key tenant.pub tenant").await?;
        let said = self.types(&step, "openstack flavor list").await?;
        lists(&said, "Name", &["bm.small"])?;
        let said = self.types(&step, "openstack server list").await?;
        if let Some(other) = table::column(&said, "Name").first() {
            return Err(Error::Invalid(format!("a tenant without servers is shown {other}")));
        }
        self.end(step, "tenant", "");
        Ok(())
    }

    async fn order(&mut self, image: &UserImage, limits: Limits) -> Result<Login> {
        let mut script = format!("#!/bin/sh\necho \"user data ran on $(hostname)\" > {MARKER_FILE}\n");
        if image.kind.is_partition() {
            script += &look_by_user_data();
        }
        let file = self.terminal.directory().join("user-data.sh");
        std::fs::write(&file, script).map_err(Error::io("writing", &file))?;
        let step = self.step("Ask for a server, with a config drive and user data");
        let line = format!(
            "openstack server create --flavor bm.small --image {} --network {NETWORK} --key-name tenant \
             --use-config-drive --user-data user-data.sh --wait {SERVER}",
            image.kind.name()
        );
        let said = self.types_with(Clients::Today, &step.0, &line, limits.provision).await?;
        is("the server's status", field(&said, "status")?, "ACTIVE")?;
        let address = address(field(&said, "addresses")?)?;
        self.address = Some(address);
        self.end(step, "server create", &address.to_string());
        Ok(Login { key: file, user: image.kind.user().into(), address })
    }

    async fn read_user_data(&mut self, node: &Node, login: &Login, limits: Limits) -> Result<()> {
        let step = self.step("User data has run on it");
        let read = format!("cat {MARKER_FILE} 2> /dev/null || true");
        let has_run = |said: &str| said.starts_with(&format!("user data ran on {SERVER}"));
        let said = login.until(&node.machine, &step.0, limits.boot, &read, has_run).await?;
        self.end(step, "user data", said.trim());
        Ok(())
    }

    async fn look_as_tenant(&mut self) -> Result<()> {
        let step = self.step("What the tenant sees of it");
        let said = self.types(&step, "openstack server list").await?;
        is("the server's status", table::cell(&said, SERVER, "Status").unwrap_or_default(), "ACTIVE")?;
        let said = self.types(&step, &format!("openstack server event list {SERVER}")).await?;
        lists(&said, "Action", &["create"])?;
        self.types(&step, &format!("openstack port list --server {SERVER}")).await?;
        self.end(step, "lists", "");
        Ok(())
    }

    async fn leave(&mut self, uuid: &str, limits: Limits) -> Result<()> {
        let step = self.step("Delete the server; the node is cleaned and offered again");
        let line = format!("openstack server delete --wait {SERVER}");
        self.types_with(Clients::Today, &step.0, &line, limits.provision).await?;
        self.node_becomes(&step, "available", limits).await?;
        self.end(step, "server delete", "available");

        let step = self.step("The operator's view again");
        self.terminal.profile(OPERATOR);
        let said =
            self.types_with(Clients::Today, &step.0, "openstack baremetal node list", CALL_LIMIT).await?;
        is("the node's state", table::cell(&said, uuid, "provision_state").unwrap_or_default(), "available")?;
        is("the node's instance", table::cell(&said, uuid, "instance_uuid").unwrap_or_default(), "None")?;
        self.end(step, "lists", "");
        Ok(())
    }
}
