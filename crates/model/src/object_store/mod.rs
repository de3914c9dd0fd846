//! The object store: accounts, containers, objects, as Swift's API v1 has them.
//!
//! An account is a project's; its containers hold objects by name. What bytes an object has lies in a backend of the images, under a
//! key that the object's row names, so that an object that is written over is one row that changes.

mod account;
mod bounds;
mod container;
mod listing;
mod manifest;
mod object;
mod range;

pub use account::{Account, TempUrlKeys};
pub use bounds::*;
pub use container::Container;
pub use listing::{Collector, Entry, Listing, Span};
pub use manifest::{Manifest, ManifestError, Segment, SegmentRequest, parse_static};
pub use object::Object;
pub use range::{Range, RangeError, parse_ranges};

use std::collections::BTreeMap;

/// Metadata by name, in lower case and without `x-…-meta-`.
pub type Metadata = BTreeMap<String, String>;
