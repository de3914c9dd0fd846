//! What users ask of servers that are there. Each is checked, recorded with its action, and left to the reconciler.

use super::create::check_image;
use super::request::{RebootKind, Rebuild, Requester, check_lock, check_state, node_of};
use crate::Conductor;
use crate::hardware;
use crate::request::RequestError;
use jiff::Timestamp;
use model::Secret;
use model::compute::{Lock, PowerView, Server, ServerWork, TaskState, VmState};
use model::node::{InterfaceKind, Node};
use store::{ServerEdit, StoreError};
use uuid::Uuid;

impl Conductor {
    /// Deletes a server, in whatever state it is and whatever is being done with it. Its machine is torn down behind the answer; the
    /// server is there until that is done.
    pub async fn delete_server(&self, server: Uuid, by: &Requester) -> Result<(), RequestError> {
        let now = Timestamp::now();
        let edited = self.store().edit_server(server, now, |edit| {
            check_lock(&edit.server, by)?;
            if edit.server.task_state != Some(TaskState::Deleting) {
                edit.server.work = ServerWork::default();
                edit.begin(by.action(server, "delete", now));
                edit.server.task_state = Some(TaskState::Deleting);
            }
            edit.nudge = true;
            Ok::<_, RequestError>(())
        });
        edited.await.map(|_| ())
    }

    /// Switches a server's machine on.
    pub async fn start_server(&self, server: Uuid, by: &Requester) -> Result<(), RequestError> {
        self.ask_server(server, by, "start", &[VmState::Stopped], |edit| {
            edit.server.task_state = Some(TaskState::PoweringOn);
            Ok(())
        })
        .await
    }

    /// Switches a server's machine off: the operating system is asked to, and after a minute nobody is.
    pub async fn stop_server(&self, server: Uuid, by: &Requester) -> Result<(), RequestError> {
        self.may_switch_off(server, "stop").await?;
        self.ask_server(server, by, "stop", &[VmState::Active, VmState::Error], |edit| {
            edit.server.task_state = Some(TaskState::PoweringOff);
            Ok(())
        })
        .await
    }

    /// Restarts a server.
    pub async fn reboot_server(
        &self,
        server: Uuid,
        kind: RebootKind,
        by: &Requester,
    ) -> Result<(), RequestError> {
        let (allowed, task): (&[VmState], _) = match kind {
            RebootKind::Soft => (&[VmState::Active], TaskState::Rebooting),
            RebootKind::Hard => {
                (&[VmState::Active, VmState::Stopped, VmState::Error], TaskState::RebootingHard)
            }
        };
        self.ask_server(server, by, "reboot", allowed, |edit| {
            if kind == RebootKind::Soft && edit.server.power == PowerView::Shutdown {
                return Err(RequestError::Conflict(format!(
                    "Cannot 'reboot' instance {server} while it is in power_state SHUTDOWN"
                )));
            }
            edit.server.task_state = Some(task);
            Ok(())
        })
        .await
    }

    /// Writes a server's disk anew. `change` changes what else the request names: the name, the key, metadata.
    pub async fn rebuild_server(
        &self,
        server: Uuid,
        rebuild: Rebuild,
        by: &Requester,
        change: impl FnOnce(&mut Server),
    ) -> Result<Server, RequestError> {
        let mut secrets = self.store().server_secrets(server).await?;
        if let Some(user_data) = rebuild.user_data {
            secrets.user_data = user_data;
        }
        if rebuild.admin_password.is_some() {
            secrets.admin_password = rebuild.admin_password;
        }
        let allowed = [VmState::Active, VmState::Stopped, VmState::Error];
        self.not_in_maintenance(server, "rebuild").await?;
        let now = Timestamp::now();
        let edited = self.store().edit_server(server, now, |edit| {
            check_lock(&edit.server, by)?;
            check_state(&edit.server, "rebuild", &allowed)?;
            node_of(&edit.server, "rebuild")?;
            check_image(&edit.server.flavor, &rebuild.image)?;
            edit.server.image = Some(rebuild.image);
            change(&mut edit.server);
            edit.server.has_user_data = secrets.user_data.is_some();
            edit.server.work = ServerWork {
                preserve_ephemeral: rebuild.preserve_ephemeral,
                then_stop: edit.server.vm_state == VmState::Stopped,
                ..ServerWork::default()
            };
            edit.begin(by.action(server, "rebuild", now));
            edit.server.task_state = Some(TaskState::Rebuilding);
            edit.secrets = Some(secrets);
            edit.nudge = true;
            Ok::<_, RequestError>(())
        });
        edited.await.map(|(_, server)| server)
    }

    /// Boots a server's machine into the rescue ramdisk, which lets the user `rescue` in by this password.
    pub async fn rescue_server(
        &self,
        server: Uuid,
        password: Secret,
        by: &Requester,
    ) -> Result<(), RequestError> {
        let mut secrets = self.store().server_secrets(server).await?;
        secrets.rescue_password = Some(password);
        if let Some(node) = self.not_in_maintenance(server, "rescue").await?
            && let Some(reason) = hardware::problem(&node, InterfaceKind::Rescue)
        {
            return Err(RequestError::Invalid(format!("Instance {server} cannot be rescued: {reason}")));
        }
        let allowed = [VmState::Active, VmState::Stopped, VmState::Error];
        self.ask_server(server, by, "rescue", &allowed, |edit| {
            edit.server.task_state = Some(TaskState::Rescuing);
            edit.secrets = Some(secrets);
            Ok(())
        })
        .await
    }

    /// Boots a server's machine from its own disk again. A rescue that failed is left by it too.
    pub async fn unrescue_server(&self, server: Uuid, by: &Requester) -> Result<(), RequestError> {
        self.ask_server(server, by, "unrescue", &[VmState::Rescued, VmState::Error], |edit| {
            edit.server.task_state = Some(TaskState::Unrescuing);
            Ok(())
        })
        .await
    }

    /// Keeps everybody but operators from changing a server.
    pub async fn lock_server(
        &self,
        server: Uuid,
        reason: Option<String>,
        by: &Requester,
    ) -> Result<(), RequestError> {
        let now = Timestamp::now();
        let edited = self.store().edit_server(server, now, |edit| {
            let is_owner = edit.server.project_id == by.project_id;
            edit.server.locked = Some(Lock { reason, by_operator: by.is_operator && !is_owner });
            edit.record(by.action(server, "lock", now));
            Ok::<_, RequestError>(())
        });
        edited.await.map(|_| ())
    }

    /// Ends that. What an operator locked, an operator unlocks.
    pub async fn unlock_server(&self, server: Uuid, by: &Requester) -> Result<(), RequestError> {
        let now = Timestamp::now();
        let edited = self.store().edit_server(server, now, |edit| {
            if edit.server.locked.as_ref().is_some_and(|lock| lock.by_operator) && !by.is_operator {
                return Err(RequestError::Forbidden(format!(
                    "Instance {server} was locked by an operator; only an operator unlocks it."
                )));
            }
            if edit.server.locked.take().is_some() {
                edit.record(by.action(server, "unlock", now));
            }
            Ok(())
        });
        edited.await.map(|_| ())
    }

    /// The server's console log. There is none: what a machine says on its serial port goes by its BMC, to operators.
    pub async fn server_console_output(&self, server: Uuid) -> Result<String, RequestError> {
        let server: Server = self.store().get(&server.to_string()).await?;
        Err(RequestError::Conflict(format!(
            "Unable to get console log of instance {}: no console of its machine is recorded. An operator sees it by the machine's \
             BMC (openstack baremetal node console show {}).",
            server.uuid,
            server.node.map_or_else(|| "NODE".to_owned(), |node| node.to_string())
        )))
    }

    /// Records what is asked of a server that is in one of these states, has a machine, and is at rest.
    async fn ask_server(
        &self,
        server: Uuid,
        by: &Requester,
        action: &str,
        allowed: &[VmState],
        change: impl FnOnce(&mut ServerEdit) -> Result<(), RequestError>,
    ) -> Result<(), RequestError> {
        let now = Timestamp::now();
        let edited = self.store().edit_server(server, now, |edit| {
            check_lock(&edit.server, by)?;
            check_state(&edit.server, action, allowed)?;
            node_of(&edit.server, action)?;
            edit.server.work = ServerWork::default();
            change(edit)?;
            edit.begin(by.action(server, action, now));
            edit.nudge = true;
            Ok(())
        });
        edited.await.map(|_| ())
    }

    /// A server's node, if it has one that is there.
    async fn machine_of(&self, server: Uuid) -> Result<Option<Node>, RequestError> {
        let server: Server = self.store().get(&server.to_string()).await?;
        let Some(node) = server.node else { return Ok(None) };
        match self.store().node(&node.to_string()).await {
            Ok(row) => Ok(Some(row.node)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn not_in_maintenance(&self, server: Uuid, action: &str) -> Result<Option<Node>, RequestError> {
        let node = self.machine_of(server).await?;
        match &node {
            Some(node) if node.maintenance => Err(RequestError::Conflict(format!(
                "Cannot '{action}' instance {server} while its machine is in maintenance{}. Ask an operator, or try again later.",
                node.maintenance_reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default()
            ))),
            _ => Ok(node),
        }
    }

    async fn may_switch_off(&self, server: Uuid, action: &str) -> Result<(), RequestError> {
        match self.machine_of(server).await? {
            Some(node) if node.disable_power_off => Err(RequestError::Conflict(format!(
                "Cannot '{action}' instance {server}: its machine must not be switched off. It can be rebooted."
            ))),
            _ => Ok(()),
        }
    }
}
