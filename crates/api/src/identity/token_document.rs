//! A token as Keystone describes it.

use crate::cloud::CloudError;
use crate::identity::catalog::catalog;
use crate::identity::document::time;
use crate::identity::validated::{Place, Validated};
use model::identity::Domain;
use serde_json::{Value, json};
use store::Store;

fn named(domain: &Domain) -> Value {
    json!({"id": domain.id, "name": domain.name})
}

/// The document of a token, with the catalog unless it is not wanted or the token is for nothing in particular.
pub async fn describe(
    store: &Store,
    base_url: &str,
    token: &Validated,
    with_catalog: bool,
) -> Result<Value, CloudError> {
    let (claims, user) = (&token.claims, &token.user);
    let mut document = json!({
        "methods": claims.methods,
        "user": {
            "domain": named(&token.user_domain),
            "id": user.id,
            "name": user.name,
            "password_expires_at": user.password_expires_at,
        },
        "audit_ids": claims.audit_ids,
        "expires_at": time(token.until()),
        "issued_at": time(claims.issued_at),
    });
    let mut project_id = None;
    match &token.place {
        Place::Unscoped => {}
        Place::System => document["system"] = json!({"all": true}),
        Place::Domain(domain) => document["domain"] = named(domain),
        Place::Project(project, domain) => {
            document["project"] = json!({"domain": named(domain), "id": project.id, "name": project.name});
            document["is_domain"] = json!(false);
            project_id = Some(project.id.as_str());
        }
    }
    if !matches!(token.place, Place::Unscoped) {
        document["roles"] = json!(token.roles);
        if with_catalog {
            document["catalog"] = catalog(store, base_url, project_id, &user.id).await?;
        }
    }
    if let Some(credential) = &token.application_credential {
        document["application_credential"] =
            json!({"id": credential.id, "name": credential.name, "restricted": !credential.unrestricted});
    }
    Ok(json!({ "token": document }))
}
