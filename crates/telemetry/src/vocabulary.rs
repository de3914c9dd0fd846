//! Words from outside as labels.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

/// A set of words that may become labels, and stays small whoever chooses them: each word of a label is a time series for good.
#[derive(Debug)]
pub struct Vocabulary {
    most: usize,
    words: RwLock<Option<HashSet<String>>>,
}

/// What stands for the words that found no room.
pub const OTHER: &str = "other";

impl Vocabulary {
    /// An empty one of at most `most` words.
    pub const fn new(most: usize) -> Self {
        Self { most, words: RwLock::new(None) }
    }

    /// The word itself while there is room for it, else [`OTHER`].
    pub fn admit<'a>(&self, word: &'a str) -> &'a str {
        let known =
            |words: &Option<HashSet<String>>| words.as_ref().is_some_and(|words| words.contains(word));
        if known(&self.words.read().unwrap_or_else(PoisonError::into_inner)) {
            return word;
        }
        let mut words = self.words.write().unwrap_or_else(PoisonError::into_inner);
        let words = words.get_or_insert_default();
        if words.contains(word) {
            return word;
        }
        if words.len() >= self.most || word.len() > 128 {
            return OTHER;
        }
        words.insert(word.to_owned());
        word
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_beyond_the_bound_become_one() {
        let words = Vocabulary::new(2);
        assert_eq!(["a", "b", "c", "a"].map(|word| words.admit(word)), ["a", "b", OTHER, "a"]);
        assert_eq!(Vocabulary::new(2).admit(&"x".repeat(129)), OTHER);
    }
}
