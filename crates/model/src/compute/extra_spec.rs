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
        // A machine is one: groups (`resources1`) and the rest mean the same.
        let space = space.trim_end_matches(|c: char| c.is_ascii_digit());
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
    if value.trim().is_empty() {
        return Err(format!("Extra spec '{key}' has no value: a capability has the one that is given here."));
    }
    Ok(ExtraSpec::Capability { name: name.to_owned(), value: value.to_owned() })
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
        let capability = ExtraSpec::Capability { name: "boot_mode".into(), value: "uefi".into() };
        assert_eq!(read("capabilities:boot_mode", "uefi"), capability);
        assert_eq!(read("resources1:VCPU", "0"), read("resources:VCPU", "0"));
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
            ("trait:custom_a", "required"),
            ("trait:CUSTOM_A", "wanted"),
            ("capabilities:", "x"),
            ("capabilities:boot_mode", ""),
        ] {
            let refusal = ExtraSpec::parse(key, value).unwrap_err();
            assert!(refusal.contains(key), "{refusal}");
        }
        assert!(ExtraSpec::parse("x", &"y".repeat(256)).is_err());
        assert!(ExtraSpec::parse(&"x".repeat(256), "y").is_err());
    }
}
