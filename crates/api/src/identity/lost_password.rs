//! The way back for whoever lost an operator's password: whoever may read and write the state directory may set one.

use super::password::digest_of_chosen;
use crate::limits::PASSWORD_BYTES;
use jiff::Timestamp;
use model::Secret;
use model::identity::{Domain, User};
use store::{Store, StoreError};

/// Why no password was set.
#[derive(Debug, thiserror::Error)]
pub enum LostPasswordError {
    /// There is no such domain.
    #[error("there is no domain named {0}")]
    NoDomain(String),
    /// There is no such user; the names of those that there are.
    #[error("there is no user {user} in the domain {domain}; there are: {known}")]
    NoUser {
        /// As asked.
        user: String,
        /// The domain's name.
        domain: String,
        /// Names, some of them.
        known: String,
    },
    /// A password that nobody may have.
    #[error("a password takes 1 to {PASSWORD_BYTES} bytes")]
    Length,
    /// The kernel gives no random bytes.
    #[error("the kernel gives no random bytes for a salt")]
    NoRandomness,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Names of users that an error tells.
const NAMED: usize = 20;

/// Gives a user of a domain (by name) a new password, which ends every token that it had, and enables it. Returns the user. Blocks for tens of
/// milliseconds.
pub async fn set(
    store: &Store,
    domain: &str,
    user: &str,
    password: &Secret,
) -> Result<User, LostPasswordError> {
    if !(1..=PASSWORD_BYTES).contains(&password.expose().len()) {
        return Err(LostPasswordError::Length);
    }
    let identity = store.identity();
    let within: Domain = identity
        .find(&[("name", domain)])
        .await?
        .ok_or_else(|| LostPasswordError::NoDomain(domain.to_owned()))?;
    let Some(found) = identity.find::<User>(&[("domain_id", &within.id), ("name", user)]).await? else {
        let users: Vec<User> = identity.list(&[("domain_id", &within.id)]).await?;
        let known: Vec<_> = users.into_iter().take(NAMED).map(|user| user.name).collect();
        let (user, domain) = (user.to_owned(), domain.to_owned());
        return Err(LostPasswordError::NoUser { user, domain, known: known.join(", ") });
    };
    let digest = digest_of_chosen(password).map_err(|_| LostPasswordError::NoRandomness)?;
    let edited = identity.edit_user(&found.id, Some(&digest), Timestamp::now(), |user| {
        user.enabled = true;
        Ok::<_, StoreError>(())
    });
    Ok(edited.await?)
}
