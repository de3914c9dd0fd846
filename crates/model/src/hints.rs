//! Root device hints: which disk gets the operating system.
//!
//! `properties.root_device` (or `instance_info.root_device`, which wins) names what the disk must be like, in the words and
//! operators of Ironic: `{"size": ">= 100", "model": "<in> samsung", "rotational": false}`. All hints must hold. Texts
//! are compared without regard to case. Source: Ironic's "Specifying the disk for deployment" and oslo.utils'
//! `specs_matcher`. Three places where the originals are broken are mended: `<range-in>` and `<or>` work on numbers,
//! `<all-in>` on texts, and `size` without an operator compares whole GiB (a disk of 111.8 GiB is 111).

mod expression;

use crate::agent::{Disk, Identifiers};
use expression::Expression;
use serde_json::{Map, Value};
use std::fmt;

/// Without hints, disks below this many bytes are not considered (as in Ironic: 4 GiB).
pub const SMALLEST_ROOT_BYTES: u64 = 4 << 30;

const GIB: f64 = (1u64 << 30) as f64;
/// More hints, or longer ones, than anybody needs; the values come from the network.
const LONGEST_HINT: usize = 1024;

/// Hints that cannot be understood: the node's `root_device` must be corrected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HintError {
    /// A key that is no hint.
    #[error("the root device hint {0:?} is invalid, valid hints are: {list}", list = Kind::list())]
    UnknownName(String),
    /// A value that does not suit its key.
    #[error("the root device hint {name} has the value {value}: {why}")]
    BadValue {
        /// The hint.
        name: String,
        /// Its value, as JSON.
        value: String,
        /// What is wrong with it.
        why: String,
    },
}

/// No disk suits: says of each disk why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoDisk {
    /// The hints as text, or `None` for the rule that holds without hints.
    pub hints: Option<String>,
    /// Disk (with its size) and why it was turned away.
    pub turned_away: Vec<(String, String)>,
}

impl std::error::Error for NoDisk {}

impl fmt::Display for NoDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.hints {
            Some(hints) => write!(f, "no disk matches the root device hints {hints}")?,
            None => write!(f, "no disk of at least 4 GiB was found and there are no root device hints")?,
        }
        if self.turned_away.is_empty() {
            return f.write_str(
                "; the machine shows no writable disk at all (controller without driver, or no disk)",
            );
        }
        f.write_str("; disks seen: ")?;
        for (index, (disk, why)) in self.turned_away.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{disk}: {why}")?;
        }
        Ok(())
    }
}

/// The chosen disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice<'a> {
    /// The disk.
    pub disk: &'a Disk,
    /// Set when others would have done as well; says which and how to tell them apart.
    pub warning: Option<String>,
}

/// Parsed hints, at least one.
#[derive(Debug, Clone, PartialEq)]
pub struct RootHints {
    rules: Vec<(Kind, Rule)>,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Size,
    Rotational,
    Model,
    Wwn,
    Serial,
    Vendor,
    WwnWithExtension,
    WwnVendorExtension,
    Name,
    Hctl,
    ByPath,
    Tran,
}

#[derive(Debug, Clone, PartialEq)]
enum Rule {
    Flag(bool),
    Expression(Expression),
}

impl Kind {
    const ALL: [(&str, Self); 12] = [
        ("size", Self::Size),
        ("model", Self::Model),
        ("wwn", Self::Wwn),
        ("serial", Self::Serial),
        ("vendor", Self::Vendor),
        ("wwn_with_extension", Self::WwnWithExtension),
        ("wwn_vendor_extension", Self::WwnVendorExtension),
        ("name", Self::Name),
        ("rotational", Self::Rotational),
        ("hctl", Self::Hctl),
        ("by_path", Self::ByPath),
        ("tran", Self::Tran),
    ];

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(word, _)| *word == name).map(|(_, kind)| *kind)
    }

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or("", |(word, _)| word)
    }

    fn list() -> String {
        Self::ALL.map(|(word, _)| word).join(", ")
    }
}

impl RootHints {
    /// The hints of a node: `instance_info.root_device`, else `properties.root_device`, else `None`. An empty object
    /// is none. Fails on an unknown hint or a value that cannot be meant.
    pub fn of_node(
        instance_info: &Map<String, Value>,
        properties: &Map<String, Value>,
    ) -> Result<Option<Self>, HintError> {
        for source in [instance_info, properties] {
            match source.get("root_device") {
                None | Some(Value::Null) => {}
                Some(Value::Object(hints)) if hints.is_empty() => {}
                Some(Value::Object(hints)) => return Self::parse(hints).map(Some),
                Some(other) => {
                    return Err(bad("root_device", other, "it must be an object of hints"));
                }
            }
        }
        Ok(None)
    }

    /// Reads an object of hints. Fails on an unknown hint or a value that cannot be meant.
    pub fn parse(hints: &Map<String, Value>) -> Result<Self, HintError> {
        let mut rules = Vec::new();
        for (name, value) in hints {
            let kind =
                Kind::parse(name).ok_or_else(|| HintError::UnknownName(name.chars().take(64).collect()))?;
            let rule = parse_rule(kind, value).map_err(|why| bad(name, value, &why))?;
            rules.push((kind, rule));
        }
        let text = Value::Object(hints.clone()).to_string();
        Ok(Self { rules, text })
    }

    /// Whether a disk meets all hints; if not, why.
    pub fn check(&self, disk: &Disk) -> Result<(), String> {
        self.rules.iter().try_for_each(|(kind, rule)| check_rule(*kind, rule, disk))
    }
}

impl fmt::Display for RootHints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Chooses the root disk among `disks`: the first that meets the hints, or the smallest of at least
/// [`SMALLEST_ROOT_BYTES`]. "First" is by the bus path, then by name, so that equal disks give the same choice at each boot.
pub fn choose<'a>(hints: Option<&RootHints>, disks: &'a [Disk]) -> Result<Choice<'a>, NoDisk> {
    let (mut suitable, mut turned_away) = (Vec::new(), Vec::new());
    for disk in disks {
        let verdict = match hints {
            Some(hints) => hints.check(disk),
            None if disk.size < SMALLEST_ROOT_BYTES => Err("smaller than 4 GiB".to_owned()),
            None => Ok(()),
        };
        match verdict {
            Ok(()) => suitable.push(disk),
            Err(why) => turned_away.push((describe(disk), why)),
        }
    }
    suitable.sort_by(|a, b| place(a).cmp(&place(b)));
    if hints.is_none() {
        suitable.sort_by_key(|disk| disk.size);
        if let Some(smallest) = suitable.first().map(|disk| disk.size) {
            suitable.retain(|disk| disk.size == smallest);
        }
    }
    match suitable.as_slice() {
        [] => Err(NoDisk { hints: hints.map(ToString::to_string), turned_away }),
        [disk] => Ok(Choice { disk, warning: None }),
        [disk, others @ ..] => Ok(Choice { disk, warning: Some(twins(disk, others, hints.is_some())) }),
    }
}

fn twins(disk: &Disk, others: &[&Disk], hinted: bool) -> String {
    let others: Vec<String> = others.iter().map(|other| describe(other)).collect();
    let unique = match (disk.serial.first(), disk.wwn.first()) {
        (Some(serial), _) => format!("such as {{\"serial\": {serial:?}}}"),
        (None, Some(wwn)) => format!("such as {{\"wwn\": {wwn:?}}}"),
        (None, None) => "such as by_path or hctl".to_owned(),
    };
    let why = if hinted { "meet the root device hints too" } else { "are as small" };
    format!("chose {}, though {} {why}; set a root device hint {unique}", describe(disk), others.join(", "))
}

fn place(disk: &Disk) -> (bool, &str, usize, &str) {
    let by_path = disk.by_path.as_deref();
    (by_path.is_none(), by_path.unwrap_or_default(), disk.name.len(), &disk.name)
}

fn describe(disk: &Disk) -> String {
    match disk.model.as_deref().map(str::trim).filter(|model| !model.is_empty()) {
        Some(model) => format!("{} ({model}, {:.1} GiB)", disk.name, disk.size as f64 / GIB),
        None => format!("{} ({:.1} GiB)", disk.name, disk.size as f64 / GIB),
    }
}

fn bad(name: &str, value: &Value, why: &str) -> HintError {
    HintError::BadValue {
        name: name.to_owned(),
        value: value.to_string().chars().take(200).collect(),
        why: why.to_owned(),
    }
}

fn parse_rule(kind: Kind, value: &Value) -> Result<Rule, String> {
    let text = match value {
        Value::String(text) if text.len() > LONGEST_HINT => return Err("it is too long".to_owned()),
        Value::String(text) => text.trim().to_lowercase(),
        Value::Number(number) if kind == Kind::Size => number.to_string(),
        Value::Bool(flag) if kind == Kind::Rotational => return Ok(Rule::Flag(*flag)),
        _ => return Err("it is of the wrong type".to_owned()),
    };
    match kind {
        // The words of oslo.utils' strict bool_from_string.
        Kind::Rotational => match text.as_str() {
            "1" | "t" | "true" | "on" | "y" | "yes" => Ok(Rule::Flag(true)),
            "0" | "f" | "false" | "off" | "n" | "no" => Ok(Rule::Flag(false)),
            _ => Err("it is not a Boolean value".to_owned()),
        },
        Kind::Size => Expression::parse_number(&text).map(Rule::Expression),
        _ => Expression::parse_text(&text).map(Rule::Expression),
    }
}

fn check_rule(kind: Kind, rule: &Rule, disk: &Disk) -> Result<(), String> {
    let name = kind.name();
    match rule {
        Rule::Flag(wanted) => match disk.rotational {
            Some(flag) if flag == *wanted => Ok(()),
            Some(flag) => Err(format!("rotational is {flag}")),
            None => Err("whether it is rotational is not known".to_owned()),
        },
        Rule::Expression(expression) if kind == Kind::Size => {
            let gib = disk.size as f64 / GIB;
            match expression.holds_for_number(gib) {
                true => Ok(()),
                false => Err(format!("size {gib:.1} GiB is not {expression}")),
            }
        }
        Rule::Expression(expression) => {
            let values = texts(kind, disk);
            if values.is_empty() {
                return Err(format!("has no {name}"));
            }
            match values.iter().any(|value| expression.holds_for_text(&value.trim().to_lowercase())) {
                true => Ok(()),
                false => Err(format!("{name} {:?} is not {expression}", values.join(", "))),
            }
        }
    }
}

fn texts(kind: Kind, disk: &Disk) -> Vec<&str> {
    fn all(values: &Identifiers) -> Vec<&str> {
        values.0.iter().map(String::as_str).collect()
    }
    let mut found = match kind {
        Kind::Model => disk.model.as_deref().into_iter().collect(),
        Kind::Wwn => all(&disk.wwn),
        Kind::Serial => all(&disk.serial),
        Kind::Vendor => disk.vendor.as_deref().into_iter().collect(),
        Kind::WwnWithExtension => all(&disk.wwn_with_extension),
        Kind::WwnVendorExtension => all(&disk.wwn_vendor_extension),
        Kind::Name => vec![disk.name.as_str()],
        Kind::Hctl => disk.hctl.as_deref().into_iter().collect(),
        Kind::ByPath => disk.by_path.as_deref().into_iter().collect(),
        Kind::Tran => disk.tran.as_deref().into_iter().collect(),
        Kind::Size | Kind::Rotational => Vec::new(),
    };
    found.retain(|value| !value.trim().is_empty());
    found
}

#[cfg(test)]
mod tests;
