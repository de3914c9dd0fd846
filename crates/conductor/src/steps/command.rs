//! Agent commands that are issued once, however often they are asked for.

use crate::outcome::Failure;
use crate::visit::Visit;
use model::agent::{CommandResult, CommandStatus};
use serde_json::{Map, Value};

/// Issues an agent command once, however often this is called for the same step, and says how it stands.
///
/// `None`: it runs. Failure: it failed, with the agent's own words.
pub async fn command_once(
    visit: &mut Visit<'_>,
    name: &str,
    params: Map<String, Value>,
) -> Result<Option<CommandResult>, Failure> {
    settled(begun(visit, name, params).await?)
}

/// As [`command_once`] for a command that may fail: the inner error is the agent's reason.
pub async fn command_may_fail(
    visit: &mut Visit<'_>,
    name: &str,
    params: Map<String, Value>,
) -> Result<Result<Option<CommandResult>, Failure>, Failure> {
    Ok(settled(begun(visit, name, params).await?))
}

/// The command's result as it is now; it is issued if it was not.
async fn begun(
    visit: &mut Visit<'_>,
    name: &str,
    params: Map<String, Value>,
) -> Result<CommandResult, Failure> {
    let agent = visit.agent()?;
    let short = name.rsplit('.').next().unwrap_or(name).to_owned();
    let commands = agent.commands().await?;
    let known = visit.node.work.command.clone();
    let found = commands.into_iter().find(|command| match &known {
        Some(id) => command.id == *id,
        // Ours, if the conductor died between the call and its record.
        None => command.command_name == short && !visit.node.work.finished_commands.contains(&command.id),
    });
    let result = match (found, known) {
        (Some(result), _) => result,
        (None, Some(id)) => {
            return Err(Failure::last(format!(
                "the agent of node {} no longer knows command {id} ({name}): the machine was restarted while it ran. Try again.",
                visit.node.label()
            )));
        }
        (None, None) => agent.command(name, params, false).await?,
    };
    if visit.node.work.command.as_ref() != Some(&result.id) {
        let id = result.id.clone();
        visit.edit(|edit| edit.node.work.command = Some(id.clone())).await?;
    }
    Ok(result)
}

/// Splits a command's result into running, succeeded and failed.
fn settled(result: CommandResult) -> Result<Option<CommandResult>, Failure> {
    match result.command_status {
        CommandStatus::Running => Ok(None),
        CommandStatus::Succeeded => Ok(Some(result)),
        CommandStatus::Failed | CommandStatus::VersionMismatch | CommandStatus::Unknown => {
            let reason =
                result.command_error.map_or_else(|| "no reason given".to_owned(), |error| error.to_string());
            Err(Failure::last(format!("Agent returned error for {}: {reason}", result.command_name)))
        }
    }
}

/// Is the command that the node waits for at an end?
pub async fn command_ended(visit: &Visit<'_>) -> Result<bool, Failure> {
    let Some(id) = &visit.node.work.command else { return Ok(true) };
    let commands = visit.agent()?.commands().await?;
    Ok(commands
        .iter()
        .find(|command| command.id == *id)
        .is_none_or(|command| command.command_status != CommandStatus::Running))
}
