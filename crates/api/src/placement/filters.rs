//! What a query asks of resource providers.

use super::provider::Provider;
use crate::cloud::{Call, CloudError, Query};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Resource classes and how much of each.
pub(super) type Amounts = BTreeMap<String, i64>;

/// Everything that is asked for must hold.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Filters {
    name: Option<String>,
    uuid: Option<Uuid>,
    /// What must be free.
    pub resources: Amounts,
    /// Of each of these sets, one.
    required: Vec<BTreeSet<String>>,
    forbidden: BTreeSet<String>,
    /// Asked for members of aggregates, of which there are none.
    of_aggregate: bool,
}

/// Arguments of each route, and the microversions that they came with.
pub(super) const OF_PROVIDERS: &[(&str, u16)] =
    &[("name", 0), ("uuid", 0), ("member_of", 3), ("resources", 4), ("in_tree", 14), ("required", 18)];
/// See [`OF_PROVIDERS`].
pub(super) const OF_CANDIDATES: &[(&str, u16)] = &[
    ("resources", 10),
    ("limit", 16),
    ("required", 17),
    ("member_of", 21),
    ("in_tree", 31),
    ("group_policy", 25),
    ("root_required", 35),
];

fn bad(text: String) -> CloudError {
    CloudError::invalid(text).kind("placement.query.bad_value")
}

impl Filters {
    /// Reads the query of a call, of which these arguments are known.
    pub fn of(call: &Call, known: &[(&str, u16)]) -> Result<Self, CloudError> {
        let names: Vec<&str> =
            known.iter().filter(|(_, since)| *since <= call.minor).map(|(name, _)| *name).collect();
        Self::parse(&call.query, &names, call.minor)
    }

    fn parse(query: &Query, known: &[&str], minor: u16) -> Result<Self, CloudError> {
        let mut filters = Self::default();
        for (name, value) in query.iter() {
            if !known.contains(&name) {
                return Err(bad(format!(
                    "Invalid query string parameters: {name} is not known at microversion 1.{minor}; these are: {}",
                    known.join(", ")
                )));
            }
            match name {
                "name" => filters.name = Some(value.to_owned()),
                "uuid" | "in_tree" => {
                    let uuid = Uuid::try_parse(value)
                        .map_err(|_| bad(format!("Invalid uuid value: {name}={value}")))?;
                    // Every provider is its own tree.
                    if filters.uuid.is_some_and(|other| other != uuid) {
                        filters.of_aggregate = true;
                    }
                    filters.uuid = Some(uuid);
                }
                "resources" => filters.resources = parse_resources(value)?,
                "required" | "root_required" => filters.require(value)?,
                // `!in:` and `!UUID` forbid aggregates, which nobody is in.
                "member_of" => filters.of_aggregate |= !value.starts_with('!'),
                _ => {}
            }
        }
        Ok(filters)
    }

    /// `A,!B`, or `in:A,B`.
    fn require(&mut self, value: &str) -> Result<(), CloudError> {
        if let Some(any) = value.strip_prefix("in:") {
            self.required.push(any.split(',').map(checked_trait).collect::<Result<_, _>>()?);
            return Ok(());
        }
        for name in value.split(',') {
            match name.strip_prefix('!') {
                Some(name) => {
                    self.forbidden.insert(checked_trait(name)?);
                }
                None => self.required.push(BTreeSet::from([checked_trait(name)?])),
            }
        }
        Ok(())
    }

    /// Does everything hold?
    pub fn fit(&self, provider: &Provider) -> bool {
        let has = |name: &String| provider.traits.contains(name);
        !self.of_aggregate
            && self.name.as_ref().is_none_or(|name| *name == provider.uuid.to_string())
            && self.uuid.is_none_or(|uuid| uuid == provider.uuid)
            && self.required.iter().all(|any| any.iter().any(has))
            && !self.forbidden.iter().any(has)
            && (self.resources.is_empty() || provider.can_give(&self.resources))
    }
}

fn checked_trait(name: &str) -> Result<String, CloudError> {
    let is_one = !name.is_empty()
        && name.len() <= 255
        && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    if is_one {
        return Ok(name.to_owned());
    }
    Err(bad(format!(
        "Invalid query string parameters: Expected 'required' parameter value of the form: HW_CPU_X86_VMX,!CUSTOM_MAGIC. Got: {}",
        name.chars().take(100).collect::<String>()
    )))
}

/// `CUSTOM_A:1,VCPU:2`
fn parse_resources(value: &str) -> Result<Amounts, CloudError> {
    let malformed = || {
        bad(format!(
            "Badly formed resources parameter. Expected resources query string parameter in form: ?resources=VCPU:2,MEMORY_MB:1024. Got: {}.",
            value.chars().take(200).collect::<String>()
        ))
    };
    let mut amounts = Amounts::new();
    for item in value.split(',') {
        let (class, amount) = item.split_once(':').ok_or_else(malformed)?;
        let amount: i64 = amount.parse().map_err(|_| malformed())?;
        if amount < 1 {
            return Err(bad(format!("Requested resource {class} requires amount >= 1; got {amount}")));
        }
        amounts.insert(class.to_owned(), amount);
    }
    Ok(amounts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn provider() -> Provider {
        Provider {
            uuid: Uuid::from_u128(7),
            class: Some("CUSTOM_X".into()),
            consumer: None,
            reserved: false,
            traits: vec!["CUSTOM_A".into(), "CUSTOM_B".into()],
            project: None,
            changed_at: Timestamp::UNIX_EPOCH,
        }
    }

    fn fits(query: &str) -> Result<bool, String> {
        let known = OF_PROVIDERS.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        let filters = Filters::parse(&Query::parse(query).unwrap(), &known, 39);
        filters.map(|filters| filters.fit(&provider())).map_err(|error| error.text)
    }

    #[test]
    fn everything_must_hold() {
        let own = Uuid::from_u128(7);
        for (query, expected) in [
            (String::new(), true),
            (format!("name={own}&uuid={own}&in_tree={own}"), true),
            (format!("uuid={}", Uuid::from_u128(8)), false),
            (format!("uuid={own}&in_tree={}", Uuid::from_u128(8)), false),
            ("name=node-1".into(), false),
            ("resources=CUSTOM_X:1".into(), true),
            ("resources=CUSTOM_X:1,VCPU:1".into(), false),
            ("required=CUSTOM_A,CUSTOM_B".into(), true),
            ("required=CUSTOM_A&required=in:CUSTOM_C,CUSTOM_B".into(), true),
            ("required=CUSTOM_C".into(), false),
            ("required=!CUSTOM_A".into(), false),
            ("required=!CUSTOM_C".into(), true),
            (format!("member_of={own}"), false),
            (format!("member_of=!{own}"), true),
        ] {
            assert_eq!(fits(&query), Ok(expected), "{query}");
        }
    }

    #[test]
    fn nonsense_is_named() {
        for query in [
            "uuid=x",
            "resources=VCPU",
            "resources=VCPU:0",
            "resources=VCPU:x",
            "required=a-b",
            "required=",
            "color=blue",
        ] {
            assert!(fits(query).is_err(), "{query}");
        }
    }
}
