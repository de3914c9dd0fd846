//! Tokens as signed texts: JWS with Ed25519, so that any process that has the key's file can check them without asking.
//!
//! Sources: RFC 7515 (JWS), RFC 8037 (Ed25519 in it).

use crate::limits::TOKEN_BYTES;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use model::identity::Claims;
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The header of every token. Nothing else is accepted, so that no token chooses how it is checked.
const HEADER: &str = r#"{"alg":"EdDSA","typ":"JWT"}"#;
/// The key's file in the state directory.
const FILE: &str = "token.key";

/// The key's file can't be used.
#[derive(Debug, thiserror::Error)]
#[error("token key {}: {reason}", path.display())]
pub struct KeyError {
    path: PathBuf,
    reason: String,
}

/// Signs and checks tokens.
pub struct TokenKey {
    pair: Ed25519KeyPair,
    /// The header as it stands in tokens, with the dot behind it.
    header: String,
}

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenKey").finish_non_exhaustive()
    }
}

impl TokenKey {
    /// Reads the key in a state directory, or makes one that only its owner can read.
    pub fn open(state_dir: &Path) -> Result<Self, KeyError> {
        let path = state_dir.join(FILE);
        let failed = |reason: String| KeyError { path: path.clone(), reason };
        let document = match fs::read(&path) {
            Ok(document) => document,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
                    .map_err(|_| failed("the system gives no random bytes".to_owned()))?;
                let mut file = fs::OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(&path)
                    .map_err(|error| failed(error.to_string()))?;
                file.write_all(made.as_ref())
                    .and_then(|()| file.sync_all())
                    .map_err(|error| failed(error.to_string()))?;
                made.as_ref().to_vec()
            }
            Err(error) => return Err(failed(error.to_string())),
        };
        let pair = Ed25519KeyPair::from_pkcs8(&document).map_err(|_| {
            failed("it is no Ed25519 key in PKCS #8; remove it, and a new one is made (every token is void then)".to_owned())
        })?;
        Ok(Self { pair, header: format!("{}.", BASE64.encode(HEADER)) })
    }

    /// The token that says this.
    pub fn sign(&self, claims: &Claims) -> Result<String, serde_json::Error> {
        let mut token = self.header.clone();
        BASE64.encode_string(serde_json::to_vec(claims)?, &mut token);
        let signature = self.pair.sign(token.as_bytes());
        token.push('.');
        BASE64.encode_string(signature.as_ref(), &mut token);
        Ok(token)
    }

    /// What a token says, if this key signed it. Whether its time has passed is not looked at.
    pub fn read(&self, token: &str) -> Option<Claims> {
        if token.len() > TOKEN_BYTES {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let payload = signed.strip_prefix(&self.header)?;
        let signature = BASE64.decode(signature).ok()?;
        UnparsedPublicKey::new(&ED25519, self.pair.public_key().as_ref())
            .verify(signed.as_bytes(), &signature)
            .ok()?;
        serde_json::from_slice(&BASE64.decode(payload).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use std::os::unix::fs::PermissionsExt;

    fn claims(user: &str) -> Claims {
        Claims {
            user_id: user.into(),
            issued_at: Timestamp::from_second(1_800_000_000).unwrap(),
            expires_at: Timestamp::from_second(1_800_003_600).unwrap(),
            methods: vec!["password".into()],
            audit_ids: vec!["a".into()],
            project_id: Some("p".into()),
            domain_id: None,
            system: None,
            application_credential_id: None,
        }
    }

    #[test]
    fn a_token_is_read_by_its_own_key_and_unchanged_only() {
        let dir = tempfile::tempdir().unwrap();
        let key = TokenKey::open(dir.path()).unwrap();
        let mode = fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let token = key.sign(&claims("ada")).unwrap();
        assert_eq!(key.read(&token), Some(claims("ada")));
        let again = TokenKey::open(dir.path()).unwrap();
        assert_eq!(again.read(&token), Some(claims("ada")), "another process of the site");
        let other = tempfile::tempdir().unwrap();
        assert_eq!(TokenKey::open(other.path()).unwrap().read(&token), None);

        let parts: Vec<_> = token.split('.').collect();
        let forged = BASE64.encode(serde_json::to_vec(&claims("eve")).unwrap());
        let none = BASE64.encode(r#"{"alg":"none","typ":"JWT"}"#);
        for bad in [
            format!("{}.{forged}.{}", parts[0], parts[2]),
            format!("{none}.{}.", parts[1]),
            format!("{none}.{}.{}", parts[1], parts[2]),
            format!("{}.{}.", parts[0], parts[1]),
            format!("{}.{}", parts[0], parts[1]),
            token[..token.len() - 4].to_owned(),
            String::new(),
            ".".repeat(1000),
            "x".repeat(TOKEN_BYTES + 1),
        ] {
            assert_eq!(key.read(&bad), None, "{bad}");
        }
    }

    #[test]
    fn a_file_that_is_no_key_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), "no key").unwrap();
        let error = TokenKey::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains(FILE) && error.contains("remove it"), "{error}");
    }
}
