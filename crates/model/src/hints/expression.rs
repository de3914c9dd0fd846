//! One hint's value: an operator and what it compares with.

use std::fmt;

/// A comparison, already lower-cased.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expression {
    /// Order of numbers where both sides are numbers, of texts otherwise.
    Compare(Order, String),
    /// Order of texts.
    CompareText(Order, String),
    /// The value contains the text.
    Contains(String),
    /// The value is one of these.
    OneOf(Vec<String>),
    /// The value contains each of these.
    ContainsAll(Vec<String>),
    /// The value is a number in the interval; each bound with whether it belongs to it.
    Range { low: f64, with_low: bool, high: f64, with_high: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Longer operators stand before their own beginnings. `=` means "at least" in `specs_matcher`, for Nova's sake.
const OPERATORS: [(&str, Order, bool); 13] = [
    ("s==", Order::Equal, true),
    ("s!=", Order::NotEqual, true),
    ("s<=", Order::LessOrEqual, true),
    ("s<", Order::Less, true),
    ("s>=", Order::GreaterOrEqual, true),
    ("s>", Order::Greater, true),
    ("==", Order::Equal, false),
    ("=", Order::GreaterOrEqual, false),
    ("!=", Order::NotEqual, false),
    ("<=", Order::LessOrEqual, false),
    (">=", Order::GreaterOrEqual, false),
    ("<", Order::Less, false),
    (">", Order::Greater, false),
];

impl Expression {
    /// Reads a hint that compares texts; without operator it is `s==`.
    pub(super) fn parse_text(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("it is empty".to_owned());
        }
        if let Some(rest) = text.strip_prefix("<in>") {
            return Ok(Self::Contains(operand(rest)?));
        }
        if text.starts_with("<or>") {
            let parts = text.split("<or>").map(str::trim).filter(|part| !part.is_empty());
            let parts: Vec<String> = parts.map(str::to_owned).collect();
            return if parts.is_empty() {
                Err("no value follows <or>".to_owned())
            } else {
                Ok(Self::OneOf(parts))
            };
        }
        if let Some(rest) = text.strip_prefix("<all-in>") {
            return Ok(Self::ContainsAll(operand(rest)?.split_whitespace().map(str::to_owned).collect()));
        }
        if let Some(rest) = text.strip_prefix("<range-in>") {
            return parse_range(rest.trim());
        }
        for (word, order, of_texts) in OPERATORS {
            if let Some(rest) = text.strip_prefix(word) {
                let value = operand(rest)?;
                return Ok(match of_texts {
                    true => Self::CompareText(order, value),
                    false => Self::Compare(order, value),
                });
            }
        }
        Ok(Self::CompareText(Order::Equal, text.to_owned()))
    }

    /// Reads a hint that compares numbers; without operator it is `==`. Numbers must be positive.
    pub(super) fn parse_number(text: &str) -> Result<Self, String> {
        let expression = match Self::parse_text(text)? {
            Self::CompareText(order, value) => Self::Compare(order, value),
            Self::Contains(_) | Self::ContainsAll(_) => return Err("the operator compares texts".to_owned()),
            other => other,
        };
        let positive = |text: &String| match text.parse::<f64>() {
            Ok(number) if number > 0.0 && number.is_finite() => Ok(()),
            Ok(_) => Err("it must be positive".to_owned()),
            Err(_) => Err("it is not a number".to_owned()),
        };
        match &expression {
            Self::Compare(_, value) => positive(value)?,
            Self::OneOf(values) => values.iter().try_for_each(positive)?,
            _ => {}
        }
        Ok(expression)
    }

    /// Whether a text, lower case, meets it.
    pub(super) fn holds_for_text(&self, text: &str) -> bool {
        match self {
            Self::CompareText(order, value) => order.holds(text.cmp(value)),
            Self::Compare(order, value) => match (text.parse::<f64>(), value.parse::<f64>()) {
                (Ok(left), Ok(right)) => left.partial_cmp(&right).is_some_and(|found| order.holds(found)),
                // `=` between texts can only be meant as equality.
                _ if *order == Order::GreaterOrEqual => text == value,
                _ => order.holds(text.cmp(value)),
            },
            Self::Contains(value) => text.contains(value),
            Self::OneOf(values) => values.iter().any(|value| text == value),
            Self::ContainsAll(values) => values.iter().all(|value| text.contains(value)),
            Self::Range { .. } => text.parse::<f64>().is_ok_and(|number| self.holds_for_number(number)),
        }
    }

    /// Whether a number meets it. Equality also holds for the number without its fraction.
    pub(super) fn holds_for_number(&self, number: f64) -> bool {
        let equals = |value: &String| value.parse::<f64>().is_ok_and(|v| v == number || v == number.floor());
        match self {
            Self::Compare(Order::Equal, value) => equals(value),
            Self::Compare(Order::NotEqual, value) => !equals(value),
            Self::Compare(order, value) => value
                .parse::<f64>()
                .is_ok_and(|value| number.partial_cmp(&value).is_some_and(|found| order.holds(found))),
            Self::OneOf(values) => values.iter().any(equals),
            Self::Range { low, with_low, high, with_high } => {
                (number > *low || (*with_low && number == *low))
                    && (number < *high || (*with_high && number == *high))
            }
            Self::CompareText(..) | Self::Contains(_) | Self::ContainsAll(_) => false,
        }
    }
}

fn operand(rest: &str) -> Result<String, String> {
    match rest.trim() {
        "" => Err("no value follows the operator".to_owned()),
        value => Ok(value.to_owned()),
    }
}

/// `[ 10 20 ]`, `( 10 20 ]` …, the brackets with or without space.
fn parse_range(text: &str) -> Result<Expression, String> {
    let why = || "a range is written like <range-in> [ 10 20 )".to_owned();
    let with_low = text.starts_with('[');
    let with_high = text.ends_with(']');
    let inner =
        text.strip_prefix(['[', '(']).and_then(|rest| rest.strip_suffix([']', ')'])).ok_or_else(why)?;
    let numbers: Vec<f64> =
        inner.split_whitespace().map(str::parse).collect::<Result<_, _>>().map_err(|_| why())?;
    match numbers[..] {
        [low, high] if low <= high => Ok(Expression::Range { low, with_low, high, with_high }),
        [_, _] => Err("the range's first bound is above its second".to_owned()),
        _ => Err(why()),
    }
}

impl Order {
    fn holds(self, found: std::cmp::Ordering) -> bool {
        match self {
            Self::Equal => found.is_eq(),
            Self::NotEqual => found.is_ne(),
            Self::Less => found.is_lt(),
            Self::LessOrEqual => found.is_le(),
            Self::Greater => found.is_gt(),
            Self::GreaterOrEqual => found.is_ge(),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compare(order, value) => write!(f, "{} {value}", order.word()),
            Self::CompareText(Order::Equal, value) => write!(f, "{value:?}"),
            Self::CompareText(order, value) => write!(f, "s{} {value:?}", order.word()),
            Self::Contains(value) => write!(f, "<in> {value:?}"),
            Self::OneOf(values) => write!(f, "one of {values:?}"),
            Self::ContainsAll(values) => write!(f, "<all-in> {values:?}"),
            Self::Range { low, with_low, high, with_high } => {
                let (open, close) = (if *with_low { '[' } else { '(' }, if *with_high { ']' } else { ')' });
                write!(f, "<range-in> {open} {low} {high} {close}")
            }
        }
    }
}
