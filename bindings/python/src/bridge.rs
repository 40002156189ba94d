//! From futures of the core to Python: blocking with the interpreter released, or as an awaitable.

use std::future::Future;

use pyo3::{prelude::*, sync::PyOnceLock, types::PyCFunction};
use undercroft::engine::Error;
use undercroft_native::{Ready, attempt, run_detached};

use crate::{
    done::done,
    errors::{exception, raise},
    remains::release,
    visits::Visit,
};

/// Blocks until `future` is ready, with the interpreter released.
pub(crate) fn wait<T: Send, F: Future<Output = Result<T, Error>> + Send>(py: Python<'_>, future: F) -> PyResult<T> {
    let result = py.detach(|| undercroft_native::wait(future));
    release(py);
    raise(py, result)
}

/// Like [`wait`], for work that has much to wait for: it runs where what it waits for is, and wakes this thread once.
pub(crate) fn wait_on_runtime<T: Send + 'static>(py: Python<'_>, future: impl Future<Output = Result<T, Error>> + Send + 'static) -> PyResult<T> {
    let result = py.detach(|| undercroft_native::wait_on_runtime(future));
    release(py);
    raise(py, result)
}

/// Returns an awaitable of what `finish` makes of the answer of `future`.
///
/// The work begins now, not at the first `await`. Where the answer is there at once, no event loop is asked; where no
/// loop runs, the call blocks.
pub(crate) fn awaitable<T, F>(py: Python<'_>, future: F, finish: impl FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>> + Send + 'static) -> PyResult<Py<PyAny>>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Error>> + Send + 'static,
{
    let attempted = py.detach(|| attempt(future));
    release(py);
    let rest = match attempted {
        Ready::Now(answer) => return done(py, raise(py, answer).and_then(|answer| finish(py, answer))),
        Ready::Later(rest) => rest,
    };
    let Some(event_loop) = running_loop(py)? else {
        return done(py, wait(py, rest).and_then(|answer| finish(py, answer)));
    };
    let waiting = event_loop.call_method0("create_future")?;
    let (to_loop, to_future) = (event_loop.unbind(), waiting.clone().unbind());
    let task = run_detached(async move {
        let answer = rest.await;
        let _visit = Visit::begin();
        // An interpreter that is shutting down waits for nothing any more.
        Python::try_attach(|py| {
            release(py);
            let result = match answer {
                Ok(answer) => finish(py, answer),
                Err(error) => Err(exception(py, &error)),
            };
            deliver(py, to_loop, to_future, result);
        });
    });
    let stop = PyCFunction::new_closure(py, None, None, move |args, _| -> PyResult<()> {
        if args.get_item(0)?.call_method0("cancelled")?.is_truthy()? {
            task.abort();
        }
        Ok(())
    })?;
    waiting.call_method1("add_done_callback", (stop,))?;
    Ok(waiting.unbind())
}

fn running_loop(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    static GET: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let get = GET.get_or_try_init(py, || py.import("asyncio")?.getattr("_get_running_loop").map(Bound::unbind))?;
    let found = get.bind(py).call0()?;
    Ok((!found.is_none()).then_some(found))
}

fn deliver(py: Python<'_>, event_loop: Py<PyAny>, future: Py<PyAny>, result: PyResult<Py<PyAny>>) {
    static SETTLE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let call = || -> PyResult<()> {
        let settle = SETTLE.get_or_try_init(py, || -> PyResult<Py<PyAny>> { Ok(wrap_pyfunction!(settle, py)?.into_any().unbind()) })?;
        let (ok, value) = match result {
            Ok(value) => (true, value),
            Err(error) => (false, error.into_value(py).into_any()),
        };
        event_loop.bind(py).call_method1("call_soon_threadsafe", (settle, future, ok, value)).map(|_| ())
    };
    // A closed loop has nobody left to tell; what was to be delivered is dropped, and a lease in it passes on.
    let _nobody_waits = call();
}

#[pyfunction]
fn settle(future: &Bound<'_, PyAny>, ok: bool, value: &Bound<'_, PyAny>) -> PyResult<()> {
    if future.call_method0("done")?.is_truthy()? {
        return Ok(());
    }
    future.call_method1(if ok { "set_result" } else { "set_exception" }, (value,)).map(|_| ())
}
