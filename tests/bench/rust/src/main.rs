//! Does one task of the bench `objects` with a Rust crate and prints what it took.
//!
//! ```text
//! undercroft-bench-peers object-store get --url http://127.0.0.1:9000 --bucket bench --prefix many/ --keys 1000
//! undercroft-bench-peers bare get --url 'http://127.0.0.1:9000/bench/many/item0000?X-Amz-…' --keys 1000
//! ```

mod bare;
mod objects;
mod options;
mod watch;

use std::error::Error;

use options::Options;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Outcome<()> {
    let mut words = std::env::args().skip(1);
    let subject = words.next().unwrap_or_default();
    let verb = words.next().unwrap_or_default();
    let options = Options::read(words)?;

    let sample = match (subject.as_str(), verb.as_str()) {
        ("object-store", "get") => many_threads()?.block_on(objects::get(&options))?,
        ("object-store", "put") => many_threads()?.block_on(objects::put(&options))?,
        ("bare", "get") => one_thread()?.block_on(bare::get(&options))?,
        _ => return Err("usage: object-store get|put --… or bare get --…".into()),
    };
    println!("{sample}");
    Ok(())
}

/// What an application that serves many at once has.
fn many_threads() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

/// The least there can be around one request at a time.
fn one_thread() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
