//! Servers that others made, started on loopback where a test says how.

#![expect(clippy::disallowed_methods, reason = "a server is waited for by the machine's clock")]

use std::env;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_lite::future::block_on;
use tempfile::TempDir;
use vecgo_io::{BucketStore, OpenError, PageCache, PutOutcome, Store};

use crate::azure;

/// A kind of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Site {
    /// `weed`, by `VECGO_WEED`.
    SeaweedFs,
    /// `moto_server`, by `VECGO_MOTO`.
    Moto,
    /// `azurite-blob`, by `VECGO_AZURITE`.
    Azurite,
}

/// How long a server may take to begin.
const PATIENCE: Duration = Duration::from_secs(60);

/// The account that Azurite has, and its key, which is no secret.
const AZURE_ACCOUNT: &str = "devstoreaccount1";
const AZURE_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// A running server with a bucket, `test`. It is killed when this is dropped.
#[derive(Debug)]
pub struct Server {
    site: Site,
    port: u16,
    process: Child,
    _data: TempDir,
}

impl Site {
    fn variable(self) -> &'static str {
        match self {
            Site::SeaweedFs => "VECGO_WEED",
            Site::Moto => "VECGO_MOTO",
            Site::Azurite => "VECGO_AZURITE",
        }
    }

    /// Starts one, if the environment says where the program is; otherwise says that it does not, which
    /// is an error where `VECGO_REQUIRE_STORES` is set.
    ///
    /// # Errors
    /// It does not begin.
    pub fn start(self) -> io::Result<Option<Server>> {
        let Ok(program) = env::var(self.variable()) else {
            let variable = self.variable();
            if env::var_os("VECGO_REQUIRE_STORES").is_some() {
                return Err(io::Error::other(format!("{variable} is not set")));
            }
            return Ok(None);
        };
        let data = tempfile::tempdir()?;
        let port = free_port()?;
        let mut command = self.command(&program, port, &data)?;
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = process.spawn()?;
        let mut server = Server { site: self, port, process, _data: data };
        server.wait()?;
        Ok(Some(server))
    }

    fn command(self, program: &str, port: u16, data: &TempDir) -> io::Result<Command> {
        let folder = data.path().display();
        let mut command = Command::new(program);
        match self {
            Site::SeaweedFs => {
                command.args(["mini", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-bucket=test"]);
                command.args(["-webdav=false", "-admin.ui=false", "-master.telemetry=false"]);
                command.args(["-s3.port.iceberg=0", "-s3.port.lance=0"]);
                command.args([format!("-dir={folder}"), format!("-s3.port={port}")]);
                for part in ["s3", "master", "volume", "filer", "admin"] {
                    command.arg(format!("-{part}.port.grpc={}", free_port()?));
                    if part != "s3" {
                        command.arg(format!("-{part}.port={}", free_port()?));
                    }
                }
                command.current_dir(data.path()).env("TMPDIR", data.path());
                command.env("AWS_ACCESS_KEY_ID", "key").env("AWS_SECRET_ACCESS_KEY", "secret12345");
            }
            Site::Moto => {
                command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
            }
            Site::Azurite => {
                command.args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string()]);
                command.args(["-l", &folder.to_string()]);
                command.args(["--silent", "--skipApiVersionCheck", "--disableTelemetry"]);
            }
        }
        Ok(command)
    }
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Server {
    /// Its process, for a test that kills it.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// What addresses of it begin with.
    pub fn scheme(&self) -> &'static str {
        if self.site == Site::Azurite { "az" } else { "s3" }
    }

    /// The settings with which a client reaches it.
    pub fn options(&self) -> Vec<(String, String)> {
        let host = format!("http://127.0.0.1:{}", self.port);
        let settings = match self.site {
            Site::SeaweedFs | Site::Moto => vec![
                ("endpoint", host),
                ("access_key_id", "key".to_owned()),
                ("secret_access_key", "secret12345".to_owned()),
            ],
            Site::Azurite => vec![
                ("endpoint", format!("{host}/{AZURE_ACCOUNT}")),
                ("account_name", AZURE_ACCOUNT.to_owned()),
                ("access_key", AZURE_KEY.to_owned()),
            ],
        };
        settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// The bucket on it, under a prefix.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn bucket(&self, prefix: &str) -> Result<BucketStore, OpenError> {
        BucketStore::open(
            self.scheme(),
            &format!("test/{prefix}"),
            &self.options(),
            &PageCache::default(),
        )
    }

    /// Waits until there is a bucket, and it takes an object: SeaweedFS does not where the disk has less than a
    /// gigabyte left.
    fn wait(&mut self) -> io::Result<()> {
        let start = Instant::now();
        let bucket = self.bucket("").map_err(io::Error::other)?;
        let mut tries = 0;
        let mut takes = || {
            // Under a name of its own: what became of one that was not answered is not known.
            tries += 1;
            let put = block_on(bucket.put_if_absent(&format!("begun/{tries}"), Bytes::new()));
            matches!(put, Ok(PutOutcome::Committed))
        };
        while !(self.make_bucket().is_ok() && block_on(bucket.list("a/")).is_ok() && takes()) {
            if let Some(status) = self.process.try_wait()? {
                return Err(io::Error::other(format!("{:?} ended: {status}", self.site)));
            }
            if start.elapsed() > PATIENCE {
                return Err(io::Error::other(format!("{:?} takes no object", self.site)));
            }
            sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Asks for the bucket to be made, where nobody else does that.
    fn make_bucket(&self) -> io::Result<()> {
        let (path, more) = match self.site {
            Site::SeaweedFs => return Ok(()),
            Site::Moto => ("/test".to_owned(), String::new()),
            Site::Azurite => (
                format!("/{AZURE_ACCOUNT}/test?restype=container"),
                azure::headers_to_make(AZURE_ACCOUNT, AZURE_KEY, "test")?,
            ),
        };
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let head = "Host: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n";
        stream.write_all(format!("PUT {path} HTTP/1.1\r\n{head}{more}\r\n").as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
