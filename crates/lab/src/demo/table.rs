//! Reads the tables that clients print, as the scripts of 2017 did with awk.

/// The cells of every row, the titles first; what stands outside of a table is left out.
fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().filter_map(|line| {
        let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
        Some(inner.split('|').map(str::trim).collect())
    })
}

/// The value beside `name` in a table of two columns (`Field | Value`, `Property | Value`).
#[must_use]
pub fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    rows(text).find(|row| row.len() == 2 && row[0] == name).map(|row| row[1])
}

/// The cells below the title `name`, from the top; empty without such a title.
#[must_use]
pub fn column<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let mut rows = rows(text);
    let Some(at) = rows.next().and_then(|titles| titles.iter().position(|title| *title == name)) else {
        return Vec::new();
    };
    rows.filter_map(|row| row.get(at).copied()).filter(|cell| !cell.is_empty()).collect()
}

/// The cell below the title `name` in the first row that has `key` anywhere.
#[must_use]
pub fn cell<'a>(text: &'a str, key: &str, name: &str) -> Option<&'a str> {
    let mut rows = rows(text);
    let at = rows.next()?.iter().position(|title| *title == name)?;
    rows.find(|row| row.contains(&key)).and_then(|row| row.get(at).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "Deprecated: something\n+------+-------+\n| UUID | Name  |\n+------+-------+\n| a-1  | node1 |\n| b-2  | node2 |\n+------+-------+\n";

    #[test]
    fn lists_and_pairs_are_read() {
        assert_eq!(column(LIST, "Name"), ["node1", "node2"]);
        assert_eq!(cell(LIST, "node2", "UUID"), Some("b-2"));
        assert_eq!(value("| Field | Value |\n| id    | x y   |\n", "id"), Some("x y"));
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        assert!(column(LIST, "Colour").is_empty());
        assert_eq!(cell(LIST, "node3", "UUID"), None);
        assert_eq!(value(LIST, "id"), None);
        assert!(column("", "Name").is_empty());
    }
}
