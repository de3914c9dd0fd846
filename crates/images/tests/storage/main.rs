//! The storage as its callers see it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod directory;
#[cfg(feature = "s3")]
mod s3;
