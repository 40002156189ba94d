//! Waking JavaScript from any thread.

use std::ptr;

use napi::sys;

use crate::errors::invalid;

/// Has a function called on the JavaScript thread.
///
/// It keeps the process alive only while it is held. After its environment has ended it must not be used: whoever has it drops it then,
/// under the lock that every use takes.
pub(crate) struct Wake(sys::napi_threadsafe_function);

// SAFETY: a thread-safe function may be called from any thread; what may not is said where it is done.
unsafe impl Send for Wake {}

impl Wake {
    /// Makes one that has `drain` called. The JavaScript thread calls this.
    ///
    /// # Errors
    /// When Node makes none.
    pub(crate) fn new(env: sys::napi_env, drain: sys::napi_value) -> napi::Result<Self> {
        let failed = |_| invalid("no thread-safe function can be made");
        let mut name = ptr::null_mut();
        let text = c"undercroft";
        let mut function = ptr::null_mut();
        // SAFETY: this is the JavaScript thread, inside a call; the values are of this environment.
        unsafe {
            ok(sys::napi_create_string_utf8(env, text.as_ptr(), text.count_bytes() as isize, &raw mut name)).map_err(failed)?;
            ok(sys::napi_create_threadsafe_function(
                env,
                drain,
                ptr::null_mut(),
                name,
                0,
                1,
                ptr::null_mut(),
                None,
                ptr::null_mut(),
                Some(call),
                &raw mut function,
            ))
            .map_err(failed)?;
            ok(sys::napi_unref_threadsafe_function(env, function)).map_err(failed)?;
        }
        Ok(Self(function))
    }

    /// Has the function called soon. It fails only while the environment ends.
    pub(crate) fn call(&self) {
        // SAFETY: the function has not ended, as the type says.
        unsafe { sys::napi_call_threadsafe_function(self.0, ptr::null_mut(), sys::ThreadsafeFunctionCallMode::nonblocking) };
    }

    /// Keeps the process alive from now on. The JavaScript thread calls this.
    pub(crate) fn hold(&self, env: sys::napi_env) {
        // SAFETY: this is the JavaScript thread, and the function has not ended.
        unsafe { sys::napi_ref_threadsafe_function(env, self.0) };
    }

    /// Keeps the process alive no longer. The JavaScript thread calls this.
    pub(crate) fn let_go(&self, env: sys::napi_env) {
        // SAFETY: as above.
        unsafe { sys::napi_unref_threadsafe_function(env, self.0) };
    }
}

impl Drop for Wake {
    fn drop(&mut self) {
        // SAFETY: it is used here last.
        unsafe { sys::napi_release_threadsafe_function(self.0, sys::ThreadsafeFunctionReleaseMode::abort) };
    }
}

fn ok(status: sys::napi_status) -> std::result::Result<(), sys::napi_status> {
    if status == sys::Status::napi_ok { Ok(()) } else { Err(status) }
}

/// Calls the function, on the JavaScript thread.
unsafe extern "C" fn call(env: sys::napi_env, drain: sys::napi_value, _context: *mut std::ffi::c_void, _data: *mut std::ffi::c_void) {
    // While the environment ends there is none.
    if env.is_null() || drain.is_null() {
        return;
    }
    // SAFETY: Node calls this on the JavaScript thread with values of the environment. An exception that `drain` throws is the
    // environment's to report.
    unsafe {
        let mut this = ptr::null_mut();
        sys::napi_get_undefined(env, &raw mut this);
        sys::napi_call_function(env, this, drain, 0, ptr::null(), ptr::null_mut());
    }
}
