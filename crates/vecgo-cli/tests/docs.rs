//! Pages of `docs` against the command: the examples of each run in order in one directory and
//! print what it says.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "the examples are files and processes")]

use std::env;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const PAGE: &str = include_str!("../../../docs/command-line.md");
const BACKUPS: &str = include_str!("../../../docs/backup-and-recovery.md");
const CONFIGURATION: &str = include_str!("../../../docs/configuration.md");
const DEPLOYMENT: &str = include_str!("../../../docs/deployment.md");
const SECURITY: &str = include_str!("../../../docs/security.md");
const SERVER: &str = include_str!("../../../docs/server.md");
/// Stands for anything within a line, or alone for any lines.
const ANYTHING: &str = "…";

/// A line `$ vecgo …` and what the page says it prints.
struct Example {
    line: usize,
    command: String,
    printed: Vec<String>,
}

fn examples(page: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut within = false;
    for (number, line) in page.lines().enumerate() {
        if line.starts_with("```") {
            within = line == "```console";
        } else if !within {
        } else if let Some(command) = line.strip_prefix("$ ") {
            let command = command.to_owned();
            examples.push(Example { line: number + 1, command, printed: Vec::new() });
        } else if let Some(more) = line.strip_prefix("> ") {
            let command = &mut examples.last_mut().unwrap().command;
            *command = format!("{command}\n{more}");
        } else {
            examples.last_mut().unwrap().printed.push(line.to_owned());
        }
    }
    examples
}

/// The contents of the page's block of the kind that names the file.
fn file_of_the_page(name: &str) -> &'static str {
    let start = PAGE.find(&format!("`{name}`:\n\n```json\n")).unwrap();
    let text = PAGE[start..].split_once("```json\n").unwrap().1;
    text.split_once("```").unwrap().0
}

/// `.npy` of rows of 4 bytes a value.
fn npy(path: &Path, descr: &str, rows: &[[[u8; 4]; 3]]) {
    let shape = rows.len();
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}, 3), }}");
    let text = format!("{text:<117}\n");
    let length = u16::try_from(text.len()).unwrap().to_le_bytes();
    let values = rows.concat().concat();
    fs::write(path, [b"\x93NUMPY\x01\x00", &length[..], text.as_bytes(), &values].concat())
        .unwrap();
}

fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split(ANYTHING);
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, between)) = parts.split_last() else { return rest.is_empty() };
    for part in between {
        let Some(place) = rest.find(part) else { return false };
        rest = &rest[place + part.len()..];
    }
    rest.ends_with(last)
}

fn lines_match(patterns: &[String], lines: &[&str]) -> bool {
    match patterns.split_first() {
        None => lines.is_empty(),
        Some((first, patterns)) if first == ANYTHING => {
            (0..=lines.len()).any(|skipped| lines_match(patterns, &lines[skipped..]))
        }
        Some((first, patterns)) => lines
            .split_first()
            .is_some_and(|(line, lines)| matches(first, line) && lines_match(patterns, lines)),
    }
}

#[test]
fn wildcards() {
    assert!(matches("a … c", "a b c") && matches("…", "") && matches("a", "a"));
    assert!(!matches("a … c", "a b d") && !matches("a", "ab"));
    let patterns = ["a", "…", "d"].map(str::to_owned);
    assert!(lines_match(&patterns, &["a", "b", "c", "d"]) && lines_match(&patterns, &["a", "d"]));
    assert!(!lines_match(&patterns, &["a", "b"]));
}

#[test]
fn the_examples_of_the_page() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["records.jsonl", "words.jsonl", "schema.json", "numbers.json"] {
        fs::write(dir.path().join(name), file_of_the_page(name)).unwrap();
    }
    let floats = |rows: &[[f32; 3]]| -> Vec<_> {
        rows.iter().map(|row| row.map(f32::to_le_bytes)).collect()
    };
    let vectors = floats(&[[0.9, 0.1, 0.0], [0.8, 0.3, 0.1], [0.0, 0.2, 0.9]]);
    npy(&dir.path().join("vectors.npy"), "<f4", &vectors);
    npy(&dir.path().join("queries.npy"), "<f4", &floats(&[[1.0, 0.2, 0.0], [0.0, 0.1, 1.0]]));
    let truth = [[0i32, 1, 2], [2, 1, 0]].map(|row| row.map(i32::to_le_bytes));
    npy(&dir.path().join("truth.npy"), "<i4", &truth);

    let examples = examples(PAGE);
    assert!(examples.len() >= 20, "{} examples", examples.len());
    run(&examples, dir.path());
}

#[test]
fn the_drills_of_the_page_on_backups() {
    let dir = tempfile::tempdir().unwrap();
    let examples = examples(BACKUPS);
    assert!(examples.len() >= 12, "{} examples", examples.len());
    run(&examples, dir.path());
}

/// Ends the server of a page that failed half-way.
struct Ended<'a>(&'a Path);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        if let Ok(pid) = fs::read_to_string(self.0.join("server.pid")) {
            let _ = Command::new("kill").args(["-KILL", pid.trim()]).stderr(Stdio::null()).status();
        }
    }
}

/// With a port that is free in place of the usual one.
fn the_commands_of(page: &str, at_least: usize) {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let page = page.replace("8080", &free.to_string());
    let dir = tempfile::tempdir().unwrap();
    let _ended = Ended(dir.path());
    let examples = examples(&page);
    assert!(examples.len() >= at_least, "{} examples", examples.len());
    run(&examples, dir.path());
}

#[test]
fn the_commands_of_the_page_on_the_server() {
    the_commands_of(SERVER, 15);
}

#[test]
fn the_commands_of_the_page_on_the_configuration() {
    the_commands_of(CONFIGURATION, 3);
}

#[test]
fn the_commands_of_the_pages_on_deployment_and_security() {
    the_commands_of(DEPLOYMENT, 14);
    the_commands_of(SECURITY, 2);
}

/// The table has every setting that there is, with what it is unless somebody says otherwise, and no others.
#[test]
fn the_table_of_settings() {
    let program = env!("CARGO_BIN_EXE_vecgo");
    let output =
        Command::new(program).args(["--json", "config", "print"]).env_clear().output().unwrap();
    let printed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let of = |setting: &serde_json::Value, name: &str| setting[name].as_str().unwrap().to_owned();
    let expected: Vec<String> = printed["settings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|setting| {
            let value = of(setting, "value");
            let value = if value.is_empty() { "–".to_owned() } else { format!("`{value}`") };
            format!("| `{}` | {value} | {} |", of(setting, "key"), of(setting, "about"))
        })
        .collect();
    let found: Vec<&str> = CONFIGURATION.lines().filter(|line| line.starts_with("| `")).collect();
    assert_eq!(found, expected);
}

fn run(examples: &[Example], dir: &Path) {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_vecgo"));
    let mut folders = vec![program.parent().unwrap().to_owned()];
    folders.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    let path = env::join_paths(folders).unwrap();
    for Example { line, command, printed } in examples {
        let mut shell = Command::new("sh");
        shell.current_dir(dir).env("PATH", &path).env_remove("VECGO_SIMD");
        let output = shell.args(["-c", &format!("exec 2>&1; {command}")]).output().unwrap();
        let found = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "line {line}: `{command}` fails with\n{found}");
        let lines: Vec<&str> = found.lines().collect();
        let expected = printed.join("\n");
        assert!(
            printed.is_empty() || lines_match(printed, &lines),
            "line {line}: `{command}` prints\n{found}\nand not\n{expected}"
        );
    }
}
