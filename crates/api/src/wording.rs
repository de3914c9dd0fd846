//! Values as Ironic's errors quote them.

pub use model::python::{display, repr, repr_text};
