//! A flavor's `capabilities:…` against a node's (Nova's `scheduler/filters/extra_specs_ops.py` and `compute_capabilities_filter.py`).

use crate::node::Node;
use serde_json::Value;

/// What a node says of a capability: in `properties.capabilities`, or as a property of that name (`cpu_arch`, `cpus` …).
pub fn of_node(node: &Node, key: &str) -> Option<String> {
    node.capability(key).or_else(|| match node.properties.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(if *yes { "True" } else { "False" }.to_owned()),
        _ => None,
    })
}

/// Does a value meet a requirement? That is an operator and its operands (`>= 4`, `s== x`, `<in> x`, `<all-in> a b`,
/// `<or> a <or> b`), or the very text where it begins with none. What is not there meets nothing.
pub fn matches(has: Option<&str>, wanted: &str) -> bool {
    let Some(has) = has else { return false };
    let mut words = wanted.split_whitespace();
    let Some(operator) = words.next() else { return has == wanted };
    let numbers = |holds: fn(f64, f64) -> bool, operand: Option<&str>| match (
        has.trim().parse(),
        operand.map(str::parse),
    ) {
        (Ok(left), Some(Ok(right))) => holds(left, right),
        _ => false,
    };
    let texts =
        |holds: fn(&str, &str) -> bool, operand: Option<&str>| operand.is_some_and(|right| holds(has, right));
    match operator {
        // Nova's "=" has meant "at least" ever since.
        "=" | ">=" => numbers(|left, right| left >= right, words.next()),
        "<=" => numbers(|left, right| left <= right, words.next()),
        "==" => numbers(|left, right| left == right, words.next()),
        "!=" => numbers(|left, right| left != right, words.next()),
        "s==" => texts(|left, right| left == right, words.next()),
        "s!=" => texts(|left, right| left != right, words.next()),
        "s<" => texts(|left, right| left < right, words.next()),
        "s<=" => texts(|left, right| left <= right, words.next()),
        "s>" => texts(|left, right| left > right, words.next()),
        "s>=" => texts(|left, right| left >= right, words.next()),
        "<in>" => texts(|left, right| left.contains(right), words.next()),
        "<all-in>" => {
            let mut rest = words.peekable();
            rest.peek().is_some() && rest.all(|word| has.contains(word))
        }
        "<or>" => words.filter(|word| *word != "<or>").any(|word| word == has),
        _ => has == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_are_novas() {
        let table = [
            ("uefi", "uefi", true),
            ("uefi", "bios", false),
            ("two words", "two words", true),
            ("8", "= 4", true),
            ("8", ">= 9", false),
            ("8", "<= 8", true),
            ("8", "== 8.0", true),
            ("8", "!= 8", false),
            ("x", ">= 1", false),
            ("8", ">=", false),
            ("abc", "s== abc", true),
            ("abc", "s!= abc", false),
            ("abc", "s< abd", true),
            ("abc", "s>= abd", false),
            ("abc", "<in> b", true),
            ("aes mmx", "<all-in> aes mmx", true),
            ("aes", "<all-in> aes mmx", false),
            ("aes", "<all-in>", false),
            ("b", "<or> a <or> b", true),
            ("c", "<or> a <or> b", false),
        ];
        for (has, wanted, expected) in table {
            assert_eq!(matches(Some(has), wanted), expected, "{has} {wanted}");
            assert!(!matches(None, wanted), "{wanted}");
        }
    }
}
