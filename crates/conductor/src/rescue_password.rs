//! The password of a rescue: only its hash goes any further than the request.

use crate::request::RequestError;
use model::Secret;
use ring::rand::{SecureRandom, SystemRandom};
use sha_crypt::{Algorithm, Params, PasswordHasher, ShaCrypt};

/// Octets of salt.
const SALT_BYTES: usize = 12;

/// The password as `crypt(3)` has it, by SHA-256 (`$5$…`), which every Linux of the last twenty years reads.
pub fn hash(password: &Secret) -> Result<Secret, RequestError> {
    let failed = |reason: String| {
        RequestError::Busy(format!("the rescue password can't be hashed: {reason}; try again"))
    };
    let mut salt = [0; SALT_BYTES];
    SystemRandom::new().fill(&mut salt).map_err(|_| failed("no randomness for its salt".to_owned()))?;
    let hashed = ShaCrypt::new(Algorithm::Sha256Crypt, Params::RECOMMENDED)
        .hash_password_with_salt(password.expose().as_bytes(), &salt)
        .map_err(|error| failed(error.to_string()))?;
    Ok(Secret::new(hashed.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha_crypt::PasswordVerifier;

    #[test]
    fn a_hash_is_of_the_form_that_crypt_reads_and_differs_each_time() {
        let password = Secret::new("correct horse");
        let (one, two) = (hash(&password).unwrap(), hash(&password).unwrap());
        assert!(one.expose().starts_with("$5$"), "{}", one.expose());
        assert_ne!(one.expose(), two.expose());
        let verifier = ShaCrypt::SHA256;
        assert!(verifier.verify_password(b"correct horse", one.expose()).is_ok());
        assert!(verifier.verify_password(b"another", one.expose()).is_err());
    }
}
