//! The walk of 2017: its lines word for word, for a machine that boots by BIOS and a partition image with kernel and ramdisk beside it.

use super::{
    Clients, KERNEL_PARAMETERS, Login, NETWORK, PHYSICAL_NETWORK, POOL, PartitionImage, SERVER, Walk,
    address, field, is, lists,
};
use crate::demo::{Limits, table};
use crate::error::{Error, Result};
use crate::image::Kind;
use crate::network::GATEWAY;
use crate::rack::Node;

/// The node's name.
const NODE: &str = "node1";
const LIMITS: Kind = Kind::Tiny;

impl Walk<'_> {
    /// All of it, from `openstack user list` to the node that is available again.
    ///
    /// # Errors
    /// The first step's that failed.
    pub async fn of_2017(&mut self, node: &Node, image: &PartitionImage) -> Result<()> {
        self.look_around().await?;
        let network = self.make_network().await?;
        let image_id = self.upload(image).await?;
        let uuid = self.enrol(node).await?;
        self.clean(&uuid).await?;
        self.make_flavor_and_key().await?;
        let login = self.boot(&network, image).await?;
        let boot = self.visit(node, &login, Limits::of(LIMITS), None).await?;
        self.ask_metadata(&login).await?;
        self.look_at_it(&uuid, &image_id).await?;
        self.reboot(node, &login, &boot).await?;
        self.give_back(&uuid).await?;
        self.tidy_up().await
    }

    async fn look_around(&mut self) -> Result<()> {
        let step = self.step("Who is there: users and projects");
        let said = self.types(&step, "openstack user list").await?;
        let users =
            ["admin", "demo", "alt_demo", "nova", "neutron", "glance", "swift", "ironic", "placement"];
        lists(&said, "Name", &users)?;
        let said = self.types(&step, "openstack project list").await?;
        lists(&said, "Name", &["admin", "demo", "alt_demo", "service"])?;
        self.end(step, "users, projects", "");

        let step = self.step("What is there: services, and where they answer");
        let types = ["identity", "image", "network", "compute", "placement", "object-store", "baremetal"];
        let said = self.types(&step, "openstack service list").await?;
        lists(&said, "Type", &types)?;
        let said = self.types(&step, "openstack catalog list").await?;
        lists(&said, "Type", &types)?;
        let said = self.types(&step, "openstack endpoint list").await?;
        lists(&said, "Service Type", &types)?;
        self.end(step, "services", "one process");
        Ok(())
    }

    async fn make_network(&mut self) -> Result<String> {
        let step = self.step("The machines' network, flat on the wire, with a pool of addresses for servers");
        let said = self
            .types(
                &step,
                &format!(
                    "neutron net-create --shared --provider:network_type flat \
                     --provider:physical_network {PHYSICAL_NETWORK} {NETWORK}"
                ),
            )
            .await?;
        let network = field(&said, "id")?.to_string();
        is("the network's provider:network_type", field(&said, "provider:network_type")?, "flat")?;
        let said = self
            .types(
                &step,
                &format!(
                    "neutron subnet-create {NETWORK} 10.77.0.0/24 --name subnet1 --ip-version=4 --gateway={GATEWAY} \
                     --allocation-pool start={},end={} --dns-nameserver {GATEWAY} --enable-dhcp",
                    POOL.0, POOL.1
                ),
            )
            .await?;
        is("the subnet's network", field(&said, "network_id")?, &network)?;
        is("the subnet's gateway", field(&said, "gateway_ip")?, &GATEWAY.to_string())?;
        let said = self.types(&step, "neutron net-list").await?;
        lists(&said, "name", &[NETWORK])?;
        self.end(step, "network", &network);
        Ok(network)
    }

    async fn upload(&mut self, image: &PartitionImage) -> Result<String> {
        for (path, name) in [
            (&image.kernel, "my-image.vmlinuz"),
            (&image.ramdisk, "my-image.initrd"),
            (&image.root, "my-image.raw"),
            (&self.ramdisk.join("vmlinuz"), "ironic-deploy.kernel"),
            (&self.ramdisk.join("initramfs"), "ironic-deploy.initramfs"),
        ] {
            self.terminal.put(path, name)?;
        }
        let step = self.step("The user's image: kernel, ramdisk and a file system that names them");
        let create = |name: &str, format: &str, file: &str| {
            format!(
                "openstack image create {name} --public --disk-format {format} --container-format {format} --file {file}"
            )
        };
        let said = self.types(&step, &create("my-kernel", "aki", "my-image.vmlinuz")).await?;
        let kernel = field(&said, "id")?.to_string();
        let said = self.types(&step, &create("my-image.initrd", "ari", "my-image.initrd")).await?;
        let ramdisk = field(&said, "id")?.to_string();
        let said = self
            .types(
                &step,
                &format!(
                    "openstack image create my-image --public --disk-format raw --container-format bare \
                     --property kernel_id={kernel} --property ramdisk_id={ramdisk} --file my-image.raw"
                ),
            )
            .await?;
        let root = field(&said, "id")?.to_string();
        self.end(step, "upload image", &root);

        let step = self.step("The deployment's own kernel and ramdisk");
        self.types(&step, &create("deploy-vmlinuz", "aki", "ironic-deploy.kernel")).await?;
        self.types(&step, &create("deploy-initrd", "ari", "ironic-deploy.initramfs")).await?;
        let said = self.types(&step, "openstack image list").await?;
        lists(
            &said,
            "Name",
            &["my-kernel", "my-image.initrd", "my-image", "deploy-vmlinuz", "deploy-initrd"],
        )?;
        if let Some(state) = table::column(&said, "Status").iter().find(|state| **state != "active") {
            return Err(Error::Invalid(format!("an image is {state} and not active:\n{said}")));
        }
        self.end(step, "upload ramdisk", "");
        Ok(root)
    }

    async fn enrol(&mut self, node: &Node) -> Result<String> {
        let step = self.step("Enrol the machine: its BMC, and the images that it is deployed with");
        let said = self.types(&step, "ironic driver-list").await?;
        lists(&said, "Supported driver(s)", &["agent_ipmitool"])?;
        let said = self.types(&step, "openstack image list").await?;
        let image = |name: &str| {
            table::cell(&said, name, "ID")
                .map(str::to_owned)
                .ok_or_else(|| Error::Invalid(format!("no image {name} is listed:\n{said}")))
        };
        let (kernel, ramdisk) = (image("deploy-vmlinuz")?, image("deploy-initrd")?);
        let info = &node.info;
        let said = self
            .types(
                &step,
                &format!(
                    "ironic node-create -d agent_ipmitool -n {NODE} -i ipmi_address={} -i ipmi_username={} \
                     -i ipmi_password={} -i deploy_kernel={kernel} -i deploy_ramdisk={ramdisk} \
                     -i {KERNEL_PARAMETERS}",
                    info.bmc_address, info.bmc_user, info.bmc_password
                ),
            )
            .await?;
        let uuid = field(&said, "uuid")?.to_string();
        self.types(
            &step,
            &format!(
                "ironic node-update {uuid} add properties/cpus=1 properties/memory_mb=512 properties/local_gb=7 \
                 properties/cpu_arch=x86_64 properties/capabilities=boot_option:netboot,boot_mode:bios"
            ),
        )
        .await?;
        let said = self.types(&step, &format!("ironic port-create -n {uuid} -a {}", info.mac)).await?;
        is("the port's address", field(&said, "address")?, &info.mac)?;
        self.end(step, "enrol", &uuid);

        let step = self
            .step("Validate: deploy may complain that no instance has been assigned yet; the rest is fine");
        let said = self.types(&step, &format!("ironic node-validate {uuid}")).await?;
        for interface in ["power", "management"] {
            let result = table::cell(&said, interface, "Result").unwrap_or("not listed");
            is(&format!("{interface}'s result"), result, "True")?;
        }
        self.end(step, "validate", "");
        Ok(uuid)
    }

    async fn clean(&mut self, uuid: &str) -> Result<()> {
        self.watch(uuid).await;
        let step = self.step("Manage: log in to the BMC");
        self.types(&step, &format!("ironic node-set-provision-state {uuid} manage")).await?;
        self.node_becomes(&step, "manageable", Limits::of(LIMITS)).await?;
        self.end(step, "manage", "manageable");

        let step = self.step("Provide: boot the ramdisk over the network, clean the disks, offer the node");
        self.types(&step, &format!("ironic node-set-provision-state {uuid} provide")).await?;
        self.node_becomes(&step, "available", Limits::of(LIMITS)).await?;
        let said = self.types(&step, "ironic node-list").await?;
        is(
            "the node's state",
            table::cell(&said, uuid, "Provisioning State").unwrap_or_default(),
            "available",
        )?;
        self.end(step, "clean", "available");
        Ok(())
    }

    async fn make_flavor_and_key(&mut self) -> Result<()> {
        let step = self.step("A flavor that the machine fits, by processors, memory and disk; and a key");
        let said = self
            .types(&step, "openstack flavor create --ram 512 --vcpus 1 --disk 7 my-baremetal-flavor")
            .await?;
        is("the flavor's ram", field(&said, "ram")?, "512")?;
        self.types(
            &step,
            "openstack flavor set --property cpu_arch=x86_64 --property capabilities:boot_option=netboot \
             my-baremetal-flavor",
        )
        .await?;
        self.types(&step, "openstack keypair create mykey > mykey.pem && chmod 600 mykey.pem").await?;
        let said = self.types(&step, "openstack keypair list").await?;
        lists(&said, "Name", &["mykey"])?;
        self.end(step, "flavor, key", "");
        Ok(())
    }

    async fn boot(&mut self, network: &str, image: &PartitionImage) -> Result<Login> {
        let step = self.step("Ask for a server: a node is found, partitioned, written and started");
        let line = format!(
            "openstack server create --flavor my-baremetal-flavor --image my-image --nic net-id={network} \
             --key-name mykey --wait {SERVER}"
        );
        let said = self.types_with(Clients::Today, &step.0, &line, Limits::of(LIMITS).provision).await?;
        is("the server's status", field(&said, "status")?, "ACTIVE")?;
        let address = address(field(&said, "addresses")?)?;
        self.address = Some(address);
        self.end(step, "server create", &address.to_string());
        let key = self.terminal.directory().join("mykey.pem");
        Ok(Login { key, user: image.user.into(), address })
    }

    async fn look_at_it(&mut self, uuid: &str, image: &str) -> Result<()> {
        let step = self.step("The server and its node, as their lists show them");
        let said = self.types(&step, "openstack server list").await?;
        is("the server's status", table::cell(&said, SERVER, "Status").unwrap_or_default(), "ACTIVE")?;
        let said = self.types(&step, &format!("openstack server show {SERVER}")).await?;
        let shown = field(&said, "image")?;
        if !shown.contains(image) {
            return Err(Error::Invalid(format!("the server's image should be {image} and is {shown}")));
        }
        let server = field(&said, "id")?.to_string();
        let said =
            self.types_with(Clients::Of2017, &step.0, "openstack baremetal list", super::CALL_LIMIT).await?;
        is("the node's instance", table::cell(&said, uuid, "Instance UUID").unwrap_or_default(), &server)?;
        is("the node's state", table::cell(&said, uuid, "Provisioning State").unwrap_or_default(), "active")?;
        self.end(step, "lists", "");
        Ok(())
    }

    async fn reboot(&mut self, node: &Node, login: &Login, boot: &str) -> Result<()> {
        let step = self.step("Reboot the server");
        // A reset drops what the system has not written yet.
        login.run("sync").await?;
        let limits = Limits::of(LIMITS);
        let line = format!("openstack server reboot --hard --wait {SERVER}");
        self.types_with(Clients::Today, &step.0, &line, limits.boot).await?;
        self.end(step, "reboot", "");
        self.visit(node, login, limits, Some(boot)).await?;
        Ok(())
    }

    async fn give_back(&mut self, uuid: &str) -> Result<()> {
        let step = self.step("Delete the server; the node is cleaned and offered again");
        let limits = Limits::of(LIMITS);
        let line = format!("openstack server delete --wait {SERVER}");
        self.types_with(Clients::Today, &step.0, &line, limits.provision).await?;
        self.node_becomes(&step, "available", limits).await?;
        let said = self.types(&step, "openstack server list").await?;
        if table::cell(&said, SERVER, "Status").is_some() {
            return Err(Error::Invalid(format!("the server is still listed:\n{said}")));
        }
        let said = self.types(&step, "ironic node-list").await?;
        is("the node's instance", table::cell(&said, uuid, "Instance UUID").unwrap_or_default(), "None")?;
        self.end(step, "server delete", "available");
        Ok(())
    }

    async fn tidy_up(&mut self) -> Result<()> {
        let step = self.step("Take the network away: nothing is left on it");
        self.types(&step, &format!("neutron net-delete {NETWORK}")).await?;
        let said = self.types(&step, "neutron net-list").await?;
        if table::cell(&said, NETWORK, "id").is_some() {
            return Err(Error::Invalid(format!("the network is still listed:\n{said}")));
        }
        self.end(step, "network delete", "");
        Ok(())
    }
}
