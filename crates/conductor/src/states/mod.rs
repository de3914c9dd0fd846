//! One file a state, or a family of states that differ in one word. A handler looks at the node, does one idempotent piece of
//! work, and says what comes next.

mod adopting;
mod cleaning;
mod deleting;
mod deploying;
mod failed;
mod inspecting;
mod rescuing;
mod servicing;
mod verifying;
mod waiting;

use crate::outcome::{Failure, Outcome};
use crate::visit::Visit;
use model::agent::Phase;
use model::state::{Kind, ProvisionState};

/// Calls the handler of the node's state.
pub async fn handle(visit: &mut Visit<'_>) -> Result<Outcome, Failure> {
    use ProvisionState as S;
    match visit.node.provision_state {
        S::Verifying => verifying::run(visit).await,
        S::Cleaning => cleaning::run(visit).await,
        S::CleanWait => waiting::run(visit, Phase::Clean).await,
        S::Deploying => deploying::run(visit).await,
        S::DeployWait => waiting::run(visit, Phase::Deploy).await,
        S::Deleting => deleting::run(visit).await,
        S::Servicing => servicing::run(visit).await,
        S::ServiceWait => waiting::run(visit, Phase::Service).await,
        S::Inspecting => inspecting::run(visit).await,
        S::InspectWait => inspecting::wait(visit).await,
        S::Adopting => adopting::run(visit).await,
        S::Rescuing => rescuing::run(visit).await,
        S::RescueWait => rescuing::wait(visit).await,
        S::Unrescuing => rescuing::back(visit).await,
        S::Active if visit.node.work.tear_down => servicing::leave(visit).await,
        state if state.kind() == Kind::Failure => failed::run(visit).await,
        // Stable and held states: a user acts next.
        _ => Ok(Outcome::Wait(None)),
    }
}
