//! A server, and a client of it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::blocking::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A key that may write.
pub(crate) const KEY: &str = "a-key-for-the-tests-that-may-write";
/// A key that may read.
pub(crate) const READ_KEY: &str = "a-key-for-the-tests-that-may-read";

/// How long anything may take that is not a matter of time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A server that runs, in a directory of its own with the database `db`.
pub(crate) struct Served {
    child: Child,
    /// Of its address and port.
    pub(crate) address: String,
    pub(crate) metrics: Option<String>,
    dir: Arc<TempDir>,
    client: Client,
    key: Option<&'static str>,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
}

impl Answer {
    fn of(response: Response) -> Self {
        Self { status: response.status().as_u16(), text: response.text().unwrap() }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The kind and the message of a failure.
    pub(crate) fn error(&self) -> (u16, String, String) {
        let error = &self.json()["error"];
        let text =
            |name: &str| error[name].as_str().unwrap_or_else(|| panic!("{self:?}")).to_owned();
        (self.status, text("kind"), text("message"))
    }
}

impl Served {
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::with(Arc::new(tempfile::tempdir().unwrap()), args, &[])
    }

    /// With a key to write and one to read.
    pub(crate) fn with_keys() -> Self {
        let keys = [("VECGO_AUTH__WRITE_KEYS", KEY), ("VECGO_AUTH__READ_KEYS", READ_KEY)];
        let mut served = Self::with(Arc::new(tempfile::tempdir().unwrap()), &[], &keys);
        served.key = Some(KEY);
        served
    }

    pub(crate) fn with(dir: Arc<TempDir>, args: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::begin(dir, args, environment).unwrap_or_else(|said| panic!("{said}"))
    }

    /// A server, or what it said when it ended before it listened.
    pub(crate) fn begin(
        dir: Arc<TempDir>,
        args: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Self, String> {
        let mut command = vecgo(dir.path());
        command.args(["--json", "serve"]);
        if !args.iter().any(|arg| *arg == "db" || (arg.contains("://") && !arg.contains('='))) {
            command.arg("db");
        }
        if !args.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        let log = File::options().create(true).append(true).open(dir.path().join("log")).unwrap();
        command.args(args).envs(environment.iter().copied()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap_or_default();
        let Some(address) = said["listening"].as_str() else {
            let code = child.wait().unwrap().code();
            return Err(format!("{code:?} {line}"));
        };
        Ok(Self {
            child,
            address: address.to_owned(),
            metrics: said["metrics"].as_str().map(str::to_owned),
            dir,
            client: Client::builder().timeout(PATIENCE).build().unwrap(),
            key: None,
        })
    }

    pub(crate) fn dir(&self) -> Arc<TempDir> {
        Arc::clone(&self.dir)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    /// Asks with this key from now on.
    pub(crate) fn use_key(&mut self, key: Option<&'static str>) {
        self.key = key;
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let url = format!("http://{}{path}", self.address);
        let request = self.client.request(method.parse().unwrap(), url);
        match self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    pub(crate) fn send(&self, request: RequestBuilder) -> Answer {
        Answer::of(request.send().unwrap())
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send(self.request("GET", path))
    }

    pub(crate) fn ask(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.send(self.request(method, path).json(body))
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, body)
    }

    /// The answer to what must be right.
    pub(crate) fn ok(&self, path: &str, body: &Value) -> Value {
        let answer = self.post(path, body);
        assert_eq!(answer.status, 200, "{path} {body}: {answer:?}");
        answer.json()
    }

    /// What keeps it from being done.
    pub(crate) fn refuses(&self, path: &str, body: &Value, status: u16, kind: &str, word: &str) {
        let (found, found_kind, message) = self.post(path, body).error();
        assert_eq!((found, found_kind.as_str()), (status, kind), "{path} {body}: {message}");
        assert!(message.contains(word), "{path} {body}: {message:?} does not say {word:?}");
    }

    /// Creates a collection of vectors of `dim` dimensions, by squared distance.
    pub(crate) fn create(&self, name: &str, dim: usize) {
        let body = json!({"dim": dim, "metric": "l2"});
        let answer = self.ask("PUT", &format!("/v1/collections/{name}"), &body);
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// Tries until it is so.
    pub(crate) fn until<T>(&self, what: &str, mut is_so: impl FnMut() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = is_so() {
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "{what}; the log: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn until_ready(&self) {
        self.until("it is not ready", || (self.get("/readyz").status == 200).then_some(()));
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// How it ends after a signal.
    pub(crate) fn signal_and_wait(&mut self, signal: rustix::process::Signal) -> Option<i32> {
        self.signal(signal);
        self.wait().code()
    }

    /// Tells it to stop, and says how it ended.
    pub(crate) fn stop(mut self) -> Option<i32> {
        self.signal_and_wait(rustix::process::Signal::TERM)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It has ended already, or nobody wants it any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command, in a directory, with nothing of this environment that is about it.
pub(crate) fn vecgo(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vecgo"));
    command.current_dir(dir);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("VECGO_")) {
        command.env_remove(name);
    }
    command
}
