//! Values as Ironic's errors quote them.

pub use model::wording::{display, is_falsy, repr, repr_text};
