//! What Keystone said of tokens, for a short while and in bounded memory.
//!
//! Tokens themselves are not kept, only their fingerprints. Good and bad tokens have room of their own, so that a flood of made-up
//! ones can't push the good ones out; and a token that is being asked about is asked about once, however many calls carry it.

use super::fingerprint::Fingerprint;
use super::identity::Identity;
use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::OnceCell;

/// Why there is no identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The token is not valid.
    Invalid,
    /// Keystone could not be asked; the reason is for the log.
    Unavailable(String),
}

/// What became of a token, and until when that may be remembered.
#[derive(Debug, Clone)]
pub enum Checked {
    /// It is valid.
    Valid(Arc<Identity>, Instant),
    /// It is not.
    Invalid(Instant),
    /// Nobody knows; not remembered.
    Unknown(String),
}

impl Checked {
    fn answer(&self) -> Result<Arc<Identity>, Refusal> {
        match self {
            Checked::Valid(identity, _) => Ok(Arc::clone(identity)),
            Checked::Invalid(_) => Err(Refusal::Invalid),
            Checked::Unknown(reason) => Err(Refusal::Unavailable(reason.clone())),
        }
    }
}

/// Entries of two generations: when the young one is full it becomes the old one, and what was old is forgotten.
struct Generations<T> {
    room: usize,
    young: HashMap<Fingerprint, (T, Instant)>,
    old: HashMap<Fingerprint, (T, Instant)>,
}

impl<T: Clone> Generations<T> {
    fn new(room: usize) -> Self {
        Self { room: room / 2, young: HashMap::new(), old: HashMap::new() }
    }

    fn get(&self, key: &Fingerprint, now: Instant) -> Option<T> {
        let (value, until) = self.young.get(key).or_else(|| self.old.get(key))?;
        (now < *until).then(|| value.clone())
    }

    fn put(&mut self, key: Fingerprint, value: T, until: Instant) {
        if self.young.len() >= self.room && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, (value, until));
    }
}

struct Known {
    valid: Generations<Arc<Identity>>,
    invalid: Generations<()>,
    asked: HashMap<Fingerprint, Arc<OnceCell<Checked>>>,
}

/// The cache.
pub struct TokenCache(Mutex<Known>);

impl TokenCache {
    /// Room for so many tokens of either kind.
    pub fn new(room: usize) -> Self {
        Self(Mutex::new(Known {
            valid: Generations::new(room),
            invalid: Generations::new(room),
            asked: HashMap::new(),
        }))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of the token, else what `check` finds; the first caller checks, the others wait for its result.
    pub async fn identity<F>(
        &self,
        key: Fingerprint,
        check: impl FnOnce() -> F,
    ) -> Result<Arc<Identity>, Refusal>
    where
        F: Future<Output = Checked>,
    {
        let question = {
            let mut known = self.known();
            let now = Instant::now();
            if let Some(identity) = known.valid.get(&key, now) {
                return Ok(identity);
            }
            if known.invalid.get(&key, now).is_some() {
                return Err(Refusal::Invalid);
            }
            Question { cache: self, key, cell: Some(Arc::clone(known.asked.entry(key).or_default())) }
        };
        let Some(cell) = &question.cell else { return Err(Refusal::Invalid) };
        let checked = cell
            .get_or_init(|| async {
                let checked = check().await;
                let mut known = self.known();
                match &checked {
                    Checked::Valid(identity, until) => known.valid.put(key, Arc::clone(identity), *until),
                    Checked::Invalid(until) => known.invalid.put(key, (), *until),
                    Checked::Unknown(_) => {}
                }
                checked
            })
            .await;
        checked.answer()
    }
}

/// A caller's part in a question that is under way; the last to go takes it off the list, whether it was answered or given up.
struct Question<'a> {
    cache: &'a TokenCache,
    key: Fingerprint,
    cell: Option<Arc<OnceCell<Checked>>>,
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        let mut known = self.cache.known();
        drop(self.cell.take());
        if known.asked.get(&self.key).is_some_and(|cell| Arc::strong_count(cell) == 1) {
            known.asked.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::time::Duration;
    use tokio::sync::Notify;

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    fn valid(user: &str) -> Checked {
        Checked::Valid(Arc::new(Identity { user_name: user.into(), ..Identity::default() }), later())
    }

    async fn never() -> Checked {
        panic!("asked again")
    }

    #[tokio::test]
    async fn answers_are_remembered_and_failures_are_not() {
        let cache = TokenCache::new(8);
        assert_eq!(cache.identity([1; 32], || async { valid("a") }).await.unwrap().user_name, "a");
        assert_eq!(cache.identity([1; 32], never).await.unwrap().user_name, "a");
        let invalid = || async { Checked::Invalid(later()) };
        assert_eq!(cache.identity([2; 32], invalid).await, Err(Refusal::Invalid));
        assert_eq!(cache.identity([2; 32], never).await, Err(Refusal::Invalid));
        let unknown = || async { Checked::Unknown("down".into()) };
        assert_eq!(cache.identity([3; 32], unknown).await, Err(Refusal::Unavailable("down".into())));
        assert!(cache.identity([3; 32], || async { valid("b") }).await.is_ok());
        assert!(cache.known().asked.is_empty());
    }

    #[tokio::test]
    async fn what_has_expired_is_asked_again() {
        let cache = TokenCache::new(8);
        let gone = || async { Checked::Valid(Arc::default(), Instant::now()) };
        assert!(cache.identity([1; 32], gone).await.is_ok());
        assert_eq!(
            cache.identity([1; 32], || async { Checked::Invalid(later()) }).await,
            Err(Refusal::Invalid)
        );
    }

    #[tokio::test]
    async fn memory_is_bounded_and_bad_tokens_do_not_push_out_good_ones() {
        let cache = TokenCache::new(8);
        cache.identity([0; 32], || async { valid("good") }).await.unwrap();
        for n in 1..=200u8 {
            let _ = cache.identity([n; 32], || async { Checked::Invalid(later()) }).await;
        }
        assert!(cache.identity([0; 32], never).await.is_ok());
        for n in 1..=200u8 {
            let _ = cache.identity([n; 32], || async { Checked::Invalid(later()) }).await;
            let mut key = [n; 32];
            key[0] = 255;
            let _ = cache.identity(key, || async { valid("x") }).await;
        }
        let known = cache.known();
        assert!(known.valid.young.len() + known.valid.old.len() <= 8);
        assert!(known.invalid.young.len() + known.invalid.old.len() <= 8);
    }

    #[tokio::test]
    async fn many_callers_ask_once_and_one_who_gives_up_leaves_the_question_to_the_next() {
        let cache = Arc::new(TokenCache::new(8));
        let asked = Arc::new(AtomicUsize::new(0));
        let open = Arc::new(Notify::new());
        let ask = |answers: bool| {
            let (cache, asked, open) = (Arc::clone(&cache), Arc::clone(&asked), Arc::clone(&open));
            tokio::spawn(async move {
                cache
                    .identity([1; 32], || async move {
                        asked.fetch_add(1, SeqCst);
                        open.notify_one();
                        if !answers {
                            std::future::pending::<()>().await;
                        }
                        valid("a")
                    })
                    .await
            })
        };
        let first = ask(false);
        open.notified().await;
        let others: Vec<_> = (0..20).map(|_| ask(true)).collect();
        tokio::task::yield_now().await;
        assert_eq!(asked.load(SeqCst), 1);
        first.abort();
        for other in others {
            assert_eq!(other.await.unwrap().unwrap().user_name, "a");
        }
        assert_eq!(asked.load(SeqCst), 2);
        assert!(cache.known().asked.is_empty());
    }
}
