//! The Debian image.

use std::path::Path;

use crate::error::{Error, Result};

pub(super) fn recipe() -> Result<String> {
    Ok(String::new())
}

pub(super) fn build(_work: &Path, _image: &Path, _progress: &mut dyn FnMut(&str)) -> Result<()> {
    Err(Error::Invalid("later".into()))
}
