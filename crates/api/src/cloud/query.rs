//! A request's query: arguments in order, some of which come several times.

use super::CloudError;
use crate::limits::QUERY_ARGUMENTS;

/// Arguments in the order in which they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query; 400 for more arguments than [`QUERY_ARGUMENTS`], and for NUL characters.
    pub fn parse(query: &str) -> Result<Self, CloudError> {
        let mut arguments = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if arguments.len() >= QUERY_ARGUMENTS {
                return Err(CloudError::invalid(format!(
                    "Too many arguments in the query: at most {QUERY_ARGUMENTS} are read."
                )));
            }
            if name.contains('\0') || value.contains('\0') {
                return Err(CloudError::invalid(
                    "The query has a NUL character, which nothing is called by.",
                ));
            }
            arguments.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(arguments))
    }

    /// Every argument.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The first value of an argument.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.iter().find(|(own, _)| *own == name).map(|(_, value)| value)
    }

    /// All values of an argument, in order.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.iter().filter(move |(own, _)| *own == name).map(|(_, value)| value)
    }

    /// Is the argument there at all?
    pub fn has(&self, name: &str) -> bool {
        self.first(name).is_some()
    }

    /// An argument that is a whole number, not negative.
    pub fn number(&self, name: &str) -> Result<Option<i64>, CloudError> {
        let Some(text) = self.first(name) else { return Ok(None) };
        match text.parse::<i64>() {
            Ok(number) if number >= 0 => Ok(Some(number)),
            _ => Err(CloudError::invalid(format!(
                "Invalid value for {name}: \"{}\" is not a whole number of 0 or more.",
                text.chars().take(40).collect::<String>()
            ))),
        }
    }

    /// An argument that is true or false, in the words that OpenStack takes.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, CloudError> {
        let Some(text) = self.first(name) else { return Ok(None) };
        match text.to_ascii_lowercase().as_str() {
            "1" | "t" | "true" | "on" | "y" | "yes" => Ok(Some(true)),
            "0" | "f" | "false" | "off" | "n" | "no" => Ok(Some(false)),
            _ => Err(CloudError::invalid(format!(
                "Invalid value for {name}: \"{}\" is neither true nor false.",
                text.chars().take(40).collect::<String>()
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_keep_their_order_and_may_come_again() {
        let query = Query::parse("fields=id&limit=10&fields=name&shared=True").unwrap();
        assert_eq!(query.all("fields").collect::<Vec<_>>(), ["id", "name"]);
        assert_eq!(query.number("limit"), Ok(Some(10)));
        assert_eq!(query.number("marker"), Ok(None));
        assert_eq!(query.flag("shared"), Ok(Some(true)));
        assert!(query.has("limit") && !query.has("marker"));
    }

    #[test]
    fn nonsense_is_named() {
        let query = Query::parse("limit=-1&shared=perhaps").unwrap();
        assert!(query.number("limit").unwrap_err().text.contains("limit"));
        assert!(query.flag("shared").unwrap_err().text.contains("perhaps"));
        assert!(Query::parse("a=%00").is_err());
        assert!(Query::parse(&"a=1&".repeat(QUERY_ARGUMENTS + 1)).is_err());
    }
}
