//! Room for large bodies: memory that is handed out in pages of 2 MiB where the system can.
//!
//! Filling 64 MiB of fresh memory page by page costs 16,384 faults, which took a third of the CPU of reading that much.

use std::mem::MaybeUninit;

use bytes::BytesMut;
use undercroft_engine::{Code, Error, Result};

/// Below this length huge pages are not worth a system call.
const LARGE: usize = 4 * 1024 * 1024;

/// Returns an empty buffer for `length` bytes.
///
/// # Errors
/// `too_large` when there is no such room: what a service says of a length is not to be trusted.
pub(crate) fn room(length: usize) -> Result<BytesMut> {
    let tried = Vec::<u8>::new().try_reserve_exact(length);
    tried.map_err(|_| Error::new(Code::TooLarge, format!("there is no memory for an object of {length} bytes")))?;
    let mut buffer = BytesMut::with_capacity(length);
    spread(buffer.spare_capacity_mut());
    Ok(buffer)
}

/// Asks the system to back `memory`, which is still to be filled, with huge pages. Where it cannot, nothing changes.
pub fn spread(memory: &mut [MaybeUninit<u8>]) {
    #[cfg(all(target_os = "linux", feature = "local"))]
    if memory.len() >= LARGE {
        const PAGE: usize = 4096;
        let start = memory.as_mut_ptr();
        let skipped = start.align_offset(PAGE);
        let whole = (memory.len() - skipped) / PAGE * PAGE;
        // SAFETY: the range lies inside `memory`, and the advice changes nothing of its content.
        let _without = unsafe { rustix::mm::madvise(start.add(skipped).cast(), whole, rustix::mm::Advice::LinuxHugepage) };
    }
    #[cfg(not(all(target_os = "linux", feature = "local")))]
    let _unchanged = (memory, LARGE);
}
