//! Listings: names in the order of their bytes, in pages, with what has a delimiter folded into one entry.
//!
//! The database is asked for spans of names; what comes of a span decides which one is asked for next, so that a folder of a
//! million objects costs one entry. The rules are those of Swift's container server (`list_objects_iter`).

use super::LISTING_LIMIT;

/// What a client asks of a listing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Listing {
    /// Names behind this one.
    pub marker: Option<String>,
    /// Names before this one.
    pub end_marker: Option<String>,
    /// Names that begin with this.
    pub prefix: String,
    /// What stands behind the first of these after the prefix is folded.
    pub delimiter: Option<String>,
    /// Names in this folder and in none below; goes before prefix and delimiter.
    pub path: Option<String>,
    /// Entries at most.
    pub limit: usize,
    /// Last first.
    pub reverse: bool,
}

/// Names from `from` on, up to but without `to`; as bytes, since the end of what begins with a text is no text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The first.
    pub from: Vec<u8>,
    /// Behind the last; none: no end.
    pub to: Option<Vec<u8>>,
}

/// An entry of a listing.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry<T> {
    /// Something with a name of its own.
    Item(T),
    /// What begins with this, delimiter included.
    Subdir(String),
}

/// Collects the entries of one listing: asks for a span, takes what is in it, and again, until it has enough.
#[derive(Debug)]
pub struct Collector<T> {
    prefix: String,
    delimiter: Option<String>,
    path: Option<String>,
    marker: Option<String>,
    limit: usize,
    reverse: bool,
    span: Span,
    entries: Vec<Entry<T>>,
    done: bool,
}

/// The first text that is behind everything that begins with this one. UTF-8 has no byte 0xFF, so one more is always a byte.
fn behind(prefix: &str) -> Option<Vec<u8>> {
    let mut bytes = prefix.as_bytes().to_vec();
    *bytes.last_mut()? += 1;
    Some(bytes)
}

/// The first text behind this one: names have no NUL.
fn after(name: &str) -> Vec<u8> {
    [name.as_bytes(), b"\0"].concat()
}

impl<T> Collector<T> {
    /// Begins.
    pub fn new(listing: &Listing) -> Self {
        let (prefix, delimiter, path) = match &listing.path {
            Some(path) => {
                let folder = path.trim_end_matches('/');
                let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
                (prefix.clone(), Some("/".to_owned()), Some(prefix))
            }
            None => (
                listing.prefix.clone(),
                listing.delimiter.clone().filter(|delimiter| !delimiter.is_empty()),
                None,
            ),
        };
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let (low, high) = if listing.reverse {
            (given(&listing.end_marker), given(&listing.marker))
        } else {
            (given(&listing.marker), given(&listing.end_marker))
        };
        let from = prefix.clone().into_bytes().max(low.map(|low| after(&low)).unwrap_or_default());
        let to = match (behind(&prefix), high.map(String::into_bytes)) {
            (Some(end), Some(high)) => Some(end.min(high)),
            (end, high) => end.or(high),
        };
        let limit = listing.limit.min(LISTING_LIMIT);
        Self {
            prefix,
            delimiter,
            path,
            marker: listing.marker.clone(),
            limit,
            reverse: listing.reverse,
            span: Span { from, to },
            entries: Vec::new(),
            done: limit == 0,
        }
    }

    /// The span to ask for next, and how many of it, in the listing's order; none: it is complete.
    pub fn next(&self) -> Option<(&Span, usize)> {
        let is_empty = self.span.to.as_ref().is_some_and(|to| *to <= self.span.from);
        if self.done || is_empty {
            return None;
        }
        let left = self.limit - self.entries.len();
        // Where folders are folded most of a batch may fall away.
        Some((&self.span, if self.delimiter.is_some() { left.min(200) } else { left }))
    }

    /// Takes what was found of the span, `asked` at most, with the items' names.
    pub fn take(&mut self, found: impl IntoIterator<Item = (String, T)>, asked: usize) {
        let mut count = 0;
        for (name, item) in found {
            count += 1;
            if self.lies_in_span(&name) {
                self.take_one(name, item);
            }
            if self.entries.len() >= self.limit {
                self.done = true;
                return;
            }
        }
        self.done |= count < asked;
    }

    /// The entries.
    pub fn entries(self) -> Vec<Entry<T>> {
        self.entries
    }

    fn lies_in_span(&self, name: &str) -> bool {
        let name = name.as_bytes();
        name >= self.span.from.as_slice() && self.span.to.as_deref().is_none_or(|to| name < to)
    }

    fn take_one(&mut self, name: String, item: T) {
        self.pass(&name);
        let folded = self.delimiter.as_ref().and_then(|delimiter| {
            let rest = name.get(self.prefix.len()..)?;
            rest.find(delimiter.as_str()).map(|at| self.prefix.len() + at + delimiter.len())
        });
        match (folded, &self.path) {
            (_, Some(path)) if *path == name => {}
            (Some(end), Some(_)) if name.len() > end => self.skip(&name[..end]),
            (Some(end), None) => {
                let folder = &name[..end];
                self.skip(folder);
                if self.marker.as_deref() != Some(folder) {
                    self.entries.push(Entry::Subdir(folder.to_owned()));
                }
            }
            _ => self.entries.push(Entry::Item(item)),
        }
    }

    /// Goes on behind this name.
    fn pass(&mut self, name: &str) {
        if self.reverse {
            self.span.to = Some(name.as_bytes().to_vec());
        } else {
            self.span.from = after(name);
        }
    }

    /// Goes on behind everything in this folder.
    fn skip(&mut self, folder: &str) {
        if self.reverse {
            self.span.to = Some(folder.as_bytes().to_vec());
        } else if let Some(end) = behind(folder) {
            self.span.from = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a database does.
    fn fetch(names: &[String], span: &Span, count: usize, reverse: bool) -> Vec<(String, String)> {
        let inside = |name: &&String| {
            name.as_bytes() >= span.from.as_slice()
                && span.to.as_deref().is_none_or(|to| name.as_bytes() < to)
        };
        let mut found: Vec<_> =
            names.iter().filter(inside).map(|name| (name.clone(), name.clone())).collect();
        if reverse {
            found.reverse();
        }
        found.truncate(count);
        found
    }

    fn list(names: &[&str], listing: &Listing) -> Vec<String> {
        let mut names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        names.sort();
        let mut collector = Collector::new(listing);
        while let Some((span, count)) = collector.next() {
            let found = fetch(&names, span, count, listing.reverse);
            collector.take(found, count);
        }
        let shown = |entry| match entry {
            Entry::Item(name) => name,
            Entry::Subdir(folder) => format!("[{folder}]"),
        };
        collector.entries().into_iter().map(shown).collect()
    }

    fn all() -> Listing {
        Listing { limit: 100, ..Listing::default() }
    }

    const NAMES: &[&str] = &["a", "a/", "a/b", "a/b/c", "a0", "b/c", "photos/cat", "photos/dogs/rex", "ü"];

    #[test]
    fn folders_are_folded() {
        let listing = Listing { delimiter: Some("/".into()), ..all() };
        assert_eq!(list(NAMES, &listing), ["a", "[a/]", "a0", "[b/]", "[photos/]", "ü"]);
        let inside = Listing { prefix: "photos/".into(), ..listing.clone() };
        assert_eq!(list(NAMES, &inside), ["photos/cat", "[photos/dogs/]"]);
        let backwards = Listing { reverse: true, ..listing };
        assert_eq!(list(NAMES, &backwards), ["ü", "[photos/]", "[b/]", "a0", "[a/]", "a"]);
    }

    #[test]
    fn a_path_shows_one_folder_without_its_folders() {
        let of = |path: &str| list(NAMES, &Listing { path: Some(path.into()), ..all() });
        assert_eq!(of("photos"), ["photos/cat"]);
        assert_eq!(of("a/"), ["a/b"]);
        assert_eq!(of(""), ["a", "a/", "a0", "ü"]);
    }

    #[test]
    fn markers_bound_a_listing_on_both_sides_in_both_directions() {
        let between = Listing { marker: Some("a".into()), end_marker: Some("b/c".into()), ..all() };
        assert_eq!(list(NAMES, &between), ["a/", "a/b", "a/b/c", "a0"]);
        let back =
            Listing { marker: Some("a0".into()), end_marker: Some("a/".into()), reverse: true, ..all() };
        assert_eq!(list(NAMES, &back), ["a/b/c", "a/b"]);
        let nothing = Listing { marker: Some("z".into()), end_marker: Some("a".into()), ..all() };
        assert!(list(NAMES, &nothing).is_empty());
        assert!(list(NAMES, &Listing { limit: 0, ..all() }).is_empty());
    }

    proptest! {
        /// Pages behind markers join to what one page shows, whatever is folded.
        #[test]
        fn pages_join(
            names in proptest::collection::btree_set("[ab/]{1,5}", 0..30),
            prefix in "[ab/]{0,2}",
            folds in any::<bool>(),
            reverse in any::<bool>(),
            limit in 1..5usize,
        ) {
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            let listing = Listing { prefix, delimiter: folds.then(|| "/".into()), reverse, ..all() };
            let whole = list(&names, &listing);
            let mut joined: Vec<String> = Vec::new();
            loop {
                let marker = joined.last().map(|last| last.trim_matches(['[', ']']).to_owned());
                let page = list(&names, &Listing { limit, marker, ..listing.clone() });
                let is_last = page.len() < limit;
                joined.extend(page);
                if is_last {
                    break;
                }
                prop_assert!(joined.len() <= whole.len());
            }
            prop_assert_eq!(joined, whole);
        }
    }
}
