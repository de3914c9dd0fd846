//! One compressed cluster: its bytes in, exactly one cluster out.
//!
//! The output buffer is the bound: neither decompressor may ask for memory by what the data says (zlib's window is fixed;
//! zstd decodes straight into the output, which serves as its window), so a bomb is a cluster that doesn't fit.

use crate::error::{Error, Result};
use crate::qcow2::header::Compression;

/// A decompressor and its working memory (under 200 KiB), one a thread.
pub(crate) enum Inflater {
    Deflate(Box<flate2::Decompress>),
    Zstd(Box<zstd_safe::DCtx<'static>>),
}

impl Inflater {
    pub(crate) fn new(compression: Compression) -> Self {
        match compression {
            Compression::Deflate => Self::Deflate(Box::new(flate2::Decompress::new(false))),
            Compression::Zstd => Self::Zstd(Box::new(zstd_safe::DCtx::create())),
        }
    }

    /// Fills `out`, one whole cluster, from `data`. `data` goes on beyond the compressed bytes, as its length is only known in
    /// sectors. Errors: [`Error::Image`] with `host` in it if it doesn't yield a cluster.
    pub(crate) fn inflate(&mut self, host: u64, data: &[u8], out: &mut [u8]) -> Result<()> {
        let is_whole = match self {
            Self::Deflate(state) => inflate_deflate(state, data, out),
            Self::Zstd(state) => inflate_zstd(state, data, out),
        };
        if is_whole.is_some() {
            return Ok(());
        }
        Err(Error::image(
            format!("its compressed cluster at byte {host} does not yield {} bytes: damaged", out.len()),
            "upload it again; if `qemu-img check` complains too, make it anew",
        ))
    }
}

fn inflate_deflate(state: &mut flate2::Decompress, data: &[u8], out: &mut [u8]) -> Option<()> {
    state.reset(false);
    state.decompress(data, out, flate2::FlushDecompress::Finish).ok()?;
    (state.total_out() == out.len() as u64).then_some(())
}

/// Frames, one after the other, until the cluster is full: QEMU reads them so.
fn inflate_zstd(state: &mut zstd_safe::DCtx<'static>, mut data: &[u8], out: &mut [u8]) -> Option<()> {
    let mut filled = 0;
    while filled < out.len() {
        let frame = zstd_safe::find_frame_compressed_size(data).ok()?;
        let (this, rest) = data.split_at_checked(frame)?;
        let written = state.decompress(&mut out[filled..], this).ok()?;
        if written == 0 {
            return None;
        }
        filled += written;
        data = rest;
    }
    Some(())
}
