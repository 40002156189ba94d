//! How time is taken: the same clocks as `measure.py` reads.

use std::fmt;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::Outcome;

/// How many operations go before the clock starts: threads and connections are there then.
pub const WARM_UP: usize = 64;

/// What the passes of one process took, in seconds; it prints as the JSON that `object_races.py` reads.
pub struct Sample {
    wall: f64,
    cpu: f64,
    ops: usize,
}

/// Makes passes of `ops` operations until they have taken `at_least`; none is cut short.
pub async fn passes(at_least: Duration, ops: usize, pass: impl AsyncFn() -> Outcome<()>) -> Outcome<Sample> {
    let (begun, cpu) = (Instant::now(), process_time());
    let mut done = 0;
    while done == 0 || begun.elapsed() < at_least {
        pass().await?;
        done += ops;
    }
    Ok(Sample { wall: begun.elapsed().as_secs_f64(), cpu: (process_time() - cpu).as_secs_f64(), ops: done })
}

/// CPU of all threads of this process, user and system.
fn process_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::from_secs(time.tv_sec.cast_unsigned()) + Duration::from_nanos(time.tv_nsec.cast_unsigned())
}

impl fmt::Display for Sample {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wall, cpu, ops } = self;
        write!(to, r#"{{"wall": {wall}, "cpu": {cpu}, "ops": {ops}}}"#)
    }
}
