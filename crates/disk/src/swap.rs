//! A swap area: one page with a signature at its end. Source: Linux `include/linux/swap.h` (`union swap_header`).

use uuid::Uuid;

use crate::error::{Error, Result};
use crate::target::Target;

/// The page size of every architecture that is served.
const PAGE: u64 = 4096;
const LABEL: &[u8] = b"swap1";

/// Makes all of `target` a swap area, labelled as Ironic labels it. Returns its UUID. Errors: [`Error::Disk`].
pub fn make_swap(target: &dyn Target) -> Result<Uuid> {
    let failed = |e| Error::disk("writing the swap area's header", e);
    let uuid = Uuid::new_v4();
    let pages = u32::try_from(target.size() / PAGE).unwrap_or(u32::MAX);
    let mut page = vec![0; PAGE as usize];
    page[1024..1028].copy_from_slice(&1_u32.to_le_bytes());
    page[1028..1032].copy_from_slice(&pages.saturating_sub(1).to_le_bytes());
    page[1036..1052].copy_from_slice(uuid.as_bytes());
    page[1052..1052 + LABEL.len()].copy_from_slice(LABEL);
    page[4086..].copy_from_slice(b"SWAPSPACE2");
    target.write_at(0, &page).map_err(failed)?;
    // What an older file system left behind the page would make it ambiguous.
    let rest = target.size().saturating_sub(PAGE).min((1 << 20) - PAGE);
    target.zero(PAGE, rest).map_err(failed)?;
    Ok(uuid)
}
