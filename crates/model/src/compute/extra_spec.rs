//! What an extra spec of a flavor says. Clients may write down free words too; what looks like an order is read, or refused.
//!
//! Source: Nova's guide to extra specs, and its ironic driver, which knows the three kinds that a machine can answer to.

/// One extra spec, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExtraSpec {
    /// `resources:CLASS=AMOUNT`.
    Resource {
        /// As placement names it.
        class: String,
        /// How many.
        amount: u64,
    },
    /// `trait:NAME=required` or `=forbidden`.
    Trait {
        /// The trait.
        name: String,
        /// The node must not have it.
        is_forbidden: bool,
    },
    /// `capabilities:NAME=VALUE`.
    Capability {
        /// The capability.
        name: String,
        /// The value that it must have.
        value: String,
    },
    /// Anything else: kept, without a meaning here.
    Other,
}

/// Characters of a key and of a value, as in Nova.
pub const LENGTH: usize = 255;

/// Resource classes that placement knows by itself, as far as a flavor may name them.
const USUAL: &[&str] = &["VCPU", "PCPU", "MEMORY_MB", "DISK_GB"];

impl ExtraSpec {
    /// Reads one; the error is a sentence for the user.
    pub fn parse(key: &str, value: &str) -> Result<Self, String> {
        check_key(key)?;
        if value.chars().count() > LENGTH {
            return Err(format!("The value of extra spec '{key}' has more than {LENGTH} characters."));
        }
        let Some((space, name)) = key.split_once(':') else { return Ok(ExtraSpec::Other) };
        if let Some(kind) = ["resources", "trait"].into_iter().find(|kind| is_group(space, kind)) {
            return Err(format!(
                "Extra spec '{key}' belongs to a numbered group, and a machine is one: write '{kind}:{name}'."
            ));
        }
        match space {
            "resources" => resource(key, name, value),
            "trait" => a_trait(key, name, value),
            "capabilities" => capability(key, name, value),
            _ => Ok(ExtraSpec::Other),
        }
    }
}

/// Refuses a key that has other characters than Nova's.
pub fn check_key(key: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_:. ".contains(c);
    if key.is_empty() || key.len() > LENGTH || !key.chars().all(fits) {
        let shown = crate::wording::repr_text(key);
        return Err(format!(
            "Extra spec {shown} is not 1 to {LENGTH} letters, digits, '-', '_', ':', '.' and spaces."
        ));
    }
    Ok(())
}

/// `resources1`, `trait_net`: a group of its own in placement.
fn is_group(space: &str, kind: &str) -> bool {
    space.strip_prefix(kind).is_some_and(|rest| {
        !rest.is_empty() && (rest.starts_with('_') || rest.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

fn is_capitals(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

fn resource(key: &str, class: &str, value: &str) -> Result<ExtraSpec, String> {
    let is_custom = class.strip_prefix("CUSTOM_").is_some_and(is_capitals);
    if !is_custom && !USUAL.contains(&class) {
        return Err(format!(
            "Extra spec '{key}' names no resource class: write CUSTOM_ and capitals, digits, '_' (a node of class \
             'baremetal.gold' has CUSTOM_BAREMETAL_GOLD), or one of {}.",
            USUAL.join(", ")
        ));
    }
    let amount: u64 = value
        .parse()
        .map_err(|_| format!("Extra spec '{key}' takes a whole number, and '{value}' is none."))?;
    if is_custom && amount > 1 {
        return Err(format!(
            "Extra spec '{key}' asks for {amount}, and a node has one of its resource class: write 1."
        ));
    }
    Ok(ExtraSpec::Resource { class: class.to_owned(), amount })
}

fn a_trait(key: &str, name: &str, value: &str) -> Result<ExtraSpec, String> {
    if !is_capitals(name) {
        return Err(format!("Extra spec '{key}' names no trait: those have capitals, digits and '_'."));
    }
    match value {
        "required" | "forbidden" => {
            Ok(ExtraSpec::Trait { name: name.to_owned(), is_forbidden: value == "forbidden" })
        }
        _ => Err(format!("Extra spec '{key}' is 'required' or 'forbidden', not '{value}'.")),
    }
}

fn capability(key: &str, name: &str, value: &str) -> Result<ExtraSpec, String> {
    if name.is_empty() {
        return Err(format!("Extra spec '{key}' names no capability: write 'capabilities:NAME'."));
    }
    // Nova's operators (`<in>`, `s==`, `>=` …) compare with what a hypervisor reports; a node's capabilities are texts that are
    // equal or are not. The one that means just that is taken.
    let plain = value.strip_prefix("s== ").unwrap_or(value).trim();
    if plain.is_empty() || plain.starts_with(['<', '>', '=', '!']) {
        return Err(format!(
            "Extra spec '{key}' has the value '{value}': a capability has the very value that is given here, without operators."
        ));
    }
    Ok(ExtraSpec::Capability { name: name.to_owned(), value: plain.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_and_free_words_kept() {
        let read = |key, value| ExtraSpec::parse(key, value).unwrap();
        assert_eq!(
            read("resources:CUSTOM_GOLD", "1"),
            ExtraSpec::Resource { class: "CUSTOM_GOLD".into(), amount: 1 }
        );
        assert_eq!(read("resources:VCPU", "0"), ExtraSpec::Resource { class: "VCPU".into(), amount: 0 });
        assert_eq!(
            read("trait:CUSTOM_A", "required"),
            ExtraSpec::Trait { name: "CUSTOM_A".into(), is_forbidden: false }
        );
        assert_eq!(
            read("trait:HW_X", "forbidden"),
            ExtraSpec::Trait { name: "HW_X".into(), is_forbidden: true }
        );
        for value in ["uefi", "s== uefi"] {
            let capability = ExtraSpec::Capability { name: "boot_mode".into(), value: "uefi".into() };
            assert_eq!(read("capabilities:boot_mode", value), capability);
        }
        for key in ["cpu_arch", "hw:cpu_policy", "baremetal:deploy_kernel_id", "a b"] {
            assert_eq!(read(key, "x"), ExtraSpec::Other, "{key}");
        }
    }

    #[test]
    fn what_looks_like_an_order_and_is_none_is_refused_by_name() {
        for (key, value) in [
            ("", "x"),
            ("a/b", "x"),
            ("ü", "x"),
            ("resources:gold", "1"),
            ("resources:CUSTOM_", "1"),
            ("resources:CUSTOM_GOLD", "one"),
            ("resources:CUSTOM_GOLD", "-1"),
            ("resources:CUSTOM_GOLD", "2"),
            ("resources1:CUSTOM_GOLD", "1"),
            ("trait_x:CUSTOM_A", "required"),
            ("trait:custom_a", "required"),
            ("trait:CUSTOM_A", "wanted"),
            ("capabilities:", "x"),
            ("capabilities:boot_mode", ""),
            ("capabilities:cpus", ">= 4"),
            ("capabilities:boot_mode", "<in> uefi"),
        ] {
            let refusal = ExtraSpec::parse(key, value).unwrap_err();
            assert!(refusal.contains(key), "{refusal}");
        }
        assert!(ExtraSpec::parse("x", &"y".repeat(256)).is_err());
        assert!(ExtraSpec::parse(&"x".repeat(256), "y").is_err());
    }
}
