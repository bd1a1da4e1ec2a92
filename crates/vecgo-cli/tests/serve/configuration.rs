//! What the server is told.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::served::{Served, vecgo};

fn printed(
    dir: &std::path::Path,
    args: &[&str],
    environment: &[(&str, &str)],
) -> Result<Value, String> {
    let mut command = vecgo(dir);
    let output = command
        .args(["--json", "config", "print"])
        .args(args)
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    match output.status.code() {
        Some(0) => Ok(serde_json::from_str(&text).unwrap()),
        code => Err(format!("{code:?} {text}")),
    }
}

#[test]
fn every_setting_says_where_it_comes_from() {
    let dir = tempfile::tempdir().unwrap();
    let text = "[limits]\nk = 5\n[server]\nread_only = true\n[auth]\nwrite_keys = [\"a-secret-0123456789\"]\n";
    std::fs::write(dir.path().join("vecgo.toml"), text).unwrap();
    let environment =
        [("VECGO_DATA_DIR", "here"), ("VECGO_LIMITS__BATCH", "7"), ("VECGO_LOG", "debug")];
    let args = ["--config", "vecgo.toml", "--listen", "127.0.0.1:9", "--set", "limits.time=5s"];
    let printed = printed(dir.path(), &args, &environment).unwrap();
    assert!(!printed.to_string().contains("a-secret"));
    let of = |key: &str| {
        let settings = printed["settings"].as_array().unwrap();
        let setting = settings.iter().find(|setting| setting["key"] == key).unwrap();
        (
            setting["value"].as_str().unwrap().to_owned(),
            setting["origin"].as_str().unwrap().to_owned(),
        )
    };
    for (key, value, origin) in [
        ("data.dir", "here", "VECGO_DATA_DIR"),
        ("limits.k", "5", "vecgo.toml"),
        ("limits.batch", "7", "VECGO_LIMITS__BATCH"),
        ("limits.time", "5s", "flag"),
        ("log.level", "debug", "VECGO_LOG"),
        ("server.listen", "127.0.0.1:9", "flag"),
        ("server.read_only", "true", "vecgo.toml"),
        ("auth.write_keys", "(secret)", "vecgo.toml"),
        ("server.stop_deadline", "30s", "default"),
    ] {
        assert_eq!(of(key), (value.to_owned(), origin.to_owned()), "{key}");
    }
}

#[test]
fn a_key_that_is_none_is_an_error_wherever_it_stands() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("bad.toml"), "[server]\nport = 8080\n").unwrap();
    std::fs::write(dir.path().join("flat.toml"), "port = 8080\n").unwrap();
    for (args, environment, word) in [
        (
            &["--config", "bad.toml"][..],
            ("PATH", "/bin"),
            "bad.toml: there is no key `server.port`",
        ),
        (&["--config", "flat.toml"], ("PATH", "/bin"), "`port` stands in no section"),
        (&["--config", "none.toml"], ("PATH", "/bin"), "none.toml"),
        (&["--set", "server.port=1"], ("PATH", "/bin"), "flag: there is no key `server.port`"),
        (&[], ("VECGO_SERVER__PORT", "1"), "VECGO_SERVER__PORT: there is no key `server.port`"),
        (&["--set", "server"], ("PATH", "/bin"), "expected SECTION.KEY=VALUE"),
    ] {
        let said = printed(dir.path(), args, &[environment]).unwrap_err();
        assert!(said.contains(word), "{args:?}: {said}");
    }
}

#[test]
fn the_environment_alone_is_enough() {
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let place = dir.path().join("from-the-environment");
    let environment =
        [("VECGO_DATA_DIR", place.to_str().unwrap()), ("VECGO_SERVER__LISTEN", "127.0.0.1:0")];
    let mut command = vecgo(dir.path());
    command.args(["--json", "serve"]).envs(environment).stdout(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    let stdout = child.stdout.take().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).unwrap();
    let said: Value = serde_json::from_str(&line).unwrap();
    let url = format!("http://{}/v1/collections/docs", said["listening"].as_str().unwrap());
    let made = reqwest::blocking::Client::new()
        .put(url)
        .json(&json!({"dim": 2, "metric": "l2"}))
        .send()
        .unwrap();
    assert_eq!(made.status(), 200);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(place.join("catalogue").exists() || std::fs::read_dir(&place).unwrap().count() > 0);
}

#[test]
fn a_server_that_cannot_be_is_refused_before_it_listens() {
    let dir = || Arc::new(tempfile::tempdir().unwrap());
    let refused = |args: &[&str], code: i32, word: &str| {
        let Err(said) = Served::begin(dir(), args, &[]) else { panic!("{args:?} is served") };
        assert!(
            said.starts_with(&format!("Some({code})")) && said.contains(word),
            "{args:?}: {said}"
        );
    };
    refused(&["--listen", "0.0.0.0:0"], 3, "no key is set");
    refused(&["--listen", "[::]:0"], 3, "no key is set");
    refused(&["--set", "auth.write_keys=short"], 3, "a key is short");
    refused(&["--set", "tls.cert=none.pem", "--set", "tls.key=none.pem"], 3, "none.pem");
    refused(&["--set", "log.level=loud=very=much"], 3, "log.level");
    refused(&["--set", "log.level=loud"], 3, "expected error, warn, info");
    refused(&["--set", "log.level=vecgo_server=debug,loud"], 3, "log.level");
    refused(&["--set", "limits.connections=9223372036854775807"], 3, "too much");
    refused(&["--set", "limits.requests=9223372036854775807"], 3, "too much");
    refused(&["--collection", "docs"], 2, "--collection");
    refused(&["--memory-limit", "much"], 2, "64MiB");
    refused(&["--read-only"], 4, "db");
    refused(&["ftp://x"], 15, "ftp://");
    let served = Served::start(&[]);
    refused(&["--listen", &served.address], 9, &served.address);
    Served::with(dir(), &["--listen", "0.0.0.0:0", "--insecure"], &[]);
}

/// Sizes are written one way, wherever they stand.
#[test]
fn sizes_of_flags_are_as_those_of_settings() {
    let dir = tempfile::tempdir().unwrap();
    let args = ["--memory-limit", "4GiB", "--cache-dir", "cache", "--cache-size", "64MiB"];
    let printed = printed(dir.path(), &args, &[]).unwrap();
    let of = |key: &str| {
        let settings = printed["settings"].as_array().unwrap();
        settings.iter().find(|setting| setting["key"] == key).unwrap()["value"].clone()
    };
    assert_eq!(of("data.memory_limit"), (4u64 << 30).to_string());
    assert_eq!(of("data.cache_size"), (64u64 << 20).to_string());
}

/// A file of keys: no message shows them, and a variable that says nothing does not take them back.
#[test]
fn keys_of_a_file_stay_and_stay_secret() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("vecgo.toml");
    std::fs::write(&path, "[auth]\nwrite_keys = [\"a-secret-0123456789\" oops]\n").unwrap();
    let said = printed(dir.path(), &["--config", "vecgo.toml"], &[]).unwrap_err();
    assert!(said.contains("line 2") && !said.contains("a-secret"), "{said}");
    std::fs::write(&path, "[auth]\nwrite_keys = [\"a-secret-0123456789\"]\n").unwrap();
    let environment = [("VECGO_AUTH__WRITE_KEYS", "")];
    let printed = printed(dir.path(), &["--config", "vecgo.toml"], &environment).unwrap();
    let settings = printed["settings"].as_array().unwrap();
    let keys = settings.iter().find(|setting| setting["key"] == "auth.write_keys").unwrap();
    assert_eq!((&keys["value"], &keys["origin"]), (&json!("(secret)"), &json!("vecgo.toml")));
}

#[test]
fn what_is_no_text_is_refused() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().unwrap();
    let odd = OsStr::from_bytes(b"d-\xff");
    let named = vecgo(dir.path()).args(["serve"]).arg(odd).output().unwrap();
    let said = vecgo(dir.path()).args(["serve", "db"]).env("VECGO_AUTH__WRITE_KEYS", odd).output();
    for output in [named, said.unwrap()] {
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(3) && error.contains("UTF-8"), "{error}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
