//! qcow2 as something that passes by once.
//!
//! Source: QEMU's `docs/interop/qcow2.rst`. Everybody else's reader seeks in the image by guest offset; ours is told where
//! everything will be ([`map`]) and then takes the file from its first byte to its last, so that an image can be hashed and
//! written while it is downloaded.

pub(crate) mod cluster;
mod header;
pub(crate) mod map;
