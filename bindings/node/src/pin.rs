//! Keeps the library loaded: Node unloads an addon with the last worker that loaded it, and our threads run in it.

use std::sync::Once;

/// Has the loader keep this library until the process ends.
pub(crate) fn pin() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        #[cfg(target_os = "linux")]
        // SAFETY: the address is one of this library's; the handle is kept for ever, on purpose.
        unsafe {
            let mut found: libc::Dl_info = std::mem::zeroed();
            if libc::dladdr(pin as fn() as *const libc::c_void, &raw mut found) != 0 && !found.dli_fname.is_null() {
                libc::dlopen(found.dli_fname, libc::RTLD_LAZY | libc::RTLD_NOLOAD | libc::RTLD_NODELETE);
            }
        }
    });
}
