//! An S3 server for tests: the crate `s3s-fs`, which others wrote, on a port of the loopback interface.
//!
//! `undercroft-s3-server --root DIR [--port N] [--access-key K] [--secret-key S] [--bucket NAME]...`
//!
//! When it listens, it prints one line, `listening on 127.0.0.1:PORT`. It ends when its standard input is closed, so it
//! never outlives the test that started it, and on SIGTERM.
//!
//! Nagle's algorithm is off on every connection: headers and body leave in two writes, and with it the second would
//! wait for the client's delayed acknowledgement, about 40 ms.

mod args;

use std::error::Error;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;

use args::Args;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(never) => match never {},
        Err(error) => {
            eprintln!("undercroft-s3-server: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until the process ends.
async fn run() -> Result<std::convert::Infallible, Box<dyn Error>> {
    let args = Args::read(std::env::args().skip(1))?;
    let service = open(&args)?;
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, args.port))).await?;

    end_with_stdin();
    println!("listening on {}", listener.local_addr()?);
    std::io::stdout().flush()?;

    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let connection = http1::Builder::new().serve_connection(TokioIo::new(socket), service.clone());
        tokio::spawn(async move {
            // A client that hangs up is no error of the server: tests do it on purpose.
            let _ = connection.await;
        });
    }
}

/// Makes the folders, and the service over them.
fn open(args: &Args) -> Result<S3Service, Box<dyn Error>> {
    std::fs::create_dir_all(&args.root)?;
    for bucket in &args.buckets {
        std::fs::create_dir_all(args.root.join(bucket))?;
    }
    let files = FileSystem::new(&args.root).map_err(|error| format!("{}: {error:?}", args.root.display()))?;
    let mut builder = S3ServiceBuilder::new(files);
    builder.set_auth(SimpleAuth::from_single(args.access_key.as_str(), args.secret_key.as_str()));
    Ok(builder.build())
}

/// Ends the process when standard input ends. SIGTERM ends it by itself.
fn end_with_stdin() {
    std::thread::spawn(|| {
        let mut ignored = [0; 64];
        while matches!(std::io::stdin().read(&mut ignored), Ok(read) if read > 0) {}
        std::process::exit(0)
    });
}
