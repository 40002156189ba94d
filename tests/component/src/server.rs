//! Servers for the tests: S3 from files, one that never answers, and ports where nobody listens.

use std::{
    io::{BufRead, BufReader},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

/// An S3 server that others wrote, with one bucket: `bucket`.
pub struct S3 {
    process: Child,
    _folder: tempfile::TempDir,
    /// Its address.
    pub url: String,
}

impl S3 {
    /// Starts it.
    ///
    /// # Panics
    /// When `UNDERCROFT_S3_SERVER` does not name the program.
    pub fn start() -> Self {
        let program = std::env::var_os("UNDERCROFT_S3_SERVER").expect("UNDERCROFT_S3_SERVER names the S3 server: run `make test-component`");
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(program);
        command.arg("--root").arg(folder.path()).args(["--bucket", "bucket"]);
        // It ends when its input does.
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().rsplit(' ').next().unwrap().to_owned();
        Self { process, _folder: folder, url: format!("http://{address}") }
    }

    /// Returns a tier on it.
    pub fn tier(&self, options: &str) -> String {
        format!("s3://bucket/cache?endpoint_url={}&region=us-east-1&access_key_id=test&secret_access_key=testing-secret&{options}", self.url)
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _it_may_have_ended = self.process.kill();
        let _it_was_ours = self.process.wait();
    }
}

/// A server that takes connections and never says a word.
pub struct Hung {
    /// Its address.
    pub url: String,
    _taken: Arc<Mutex<Vec<TcpStream>>>,
}

impl Hung {
    /// Starts it.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let taken = Arc::new(Mutex::new(Vec::new()));
        let kept = taken.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                kept.lock().unwrap().push(stream);
            }
        });
        Self { url, _taken: taken }
    }
}

/// Returns an address where nobody listens.
pub fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}
