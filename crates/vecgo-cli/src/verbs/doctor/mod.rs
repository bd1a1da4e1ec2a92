mod bucket;
mod directory;

use std::path::Path;
use std::thread::available_parallelism;

use serde_json::{Value, json};
use vecgo::ErrorKind;
use vecgo_io::BucketStore;
use vecgo_kernels::Level;

use crate::Answer;
use crate::args::Target;
use crate::failure::Failure;
use crate::output::Output;

struct Finding {
    what: &'static str,
    ok: bool,
    found: String,
}

/// Checks what the directory or bucket and this machine can do. No database needs to be there.
pub(crate) fn run(target: &Target, out: &Output) -> Result<Answer, Failure> {
    let mut findings = vec![cpu(), cores()];
    match target.uri.to_str().and_then(|uri| uri.split_once("://")) {
        None => findings.extend(directory::probe(&target.uri)),
        Some(("file", path)) => findings.extend(directory::probe(Path::new(path))),
        Some((scheme, rest)) if BucketStore::knows(scheme) => {
            findings.extend(bucket::probe(scheme, rest)?);
        }
        Some((scheme, _)) => {
            let message = format!("{scheme}:// is neither a directory nor a bucket");
            return Err(Failure::new(ErrorKind::Unsupported, message));
        }
    }
    let listed: Vec<Value> = findings
        .iter()
        .map(|finding| json!({"check": finding.what, "ok": finding.ok, "found": finding.found}))
        .collect();
    let ok = findings.iter().all(|finding| finding.ok);
    out.object(&json!({"ok": ok, "checks": listed}));
    for Finding { what, ok, found } in &findings {
        out.line(format!("{} {what:<12} {found}", if *ok { "ok  " } else { "FAIL" }));
    }
    Ok(if ok { Answer::Yes } else { Answer::No })
}

fn cpu() -> Finding {
    let available: Vec<&str> =
        Level::ALL.iter().filter(|level| level.is_available()).map(|level| level.name()).collect();
    let asked = std::env::var("VECGO_SIMD").ok();
    match Level::select(asked.as_deref()) {
        Ok(level) => {
            let found = format!("{} of {}", level.name(), available.join(", "));
            Finding { what: "kernels", ok: true, found }
        }
        Err(error) => Finding { what: "kernels", ok: false, found: format!("VECGO_SIMD: {error}") },
    }
}

fn cores() -> Finding {
    let cores = available_parallelism().map_or(1, usize::from);
    Finding { what: "cores", ok: true, found: cores.to_string() }
}
