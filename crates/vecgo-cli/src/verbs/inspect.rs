use serde_json::{Value, json};
use vecgo::{Damage, Index, RequestCounts};
use vecgo_json::StatsJson;

use super::{reader, reading};
use crate::Answer;
use crate::args::Target;
use crate::failure::Failure;
use crate::output::{Output, bytes};

pub(crate) fn stats(target: &Target, out: &Output) -> Result<Answer, Failure> {
    let stats = reader(target)?.stats();
    let json = StatsJson::of(&target.collection, &stats);
    out.object(&json);
    let segment_bytes = json.segment_bytes;
    out.line(format!("collection    {}: {}", target.collection, stats.config));
    out.line(format!("records       {} live, {} dead rows", stats.records, stats.dead_rows));
    out.line(format!("version       {}, write {}", stats.version, stats.sequence));
    let (rows, size) = (stats.memtable_rows, bytes(stats.memtable_bytes));
    out.line(format!("in the log    {rows} rows, {size} in memory"));
    out.line(format!("segments      {}, {}", stats.segments.len(), bytes(segment_bytes)));
    for segment in &stats.segments {
        let (number, rows, dead) = (segment.number, segment.rows, segment.dead_rows);
        let size = bytes(segment.bytes);
        let index = match segment.index {
            Index::Flat => String::new(),
            index => format!(", {index}, {}", segment.quantization),
        };
        out.line(format!("  {number:>6}  {rows} rows, {dead} dead, {size}{index}"));
    }
    out.line(format!("memory limit  {}", bytes(stats.memory.limit)));
    out.line(format!("kernels       {}", stats.simd));
    if let Some(requests) = stats.requests {
        out.line(requests_line(requests));
    }
    Ok(Answer::Yes)
}

/// What was asked of a bucket.
pub(super) fn requests_line(requests: RequestCounts) -> String {
    let (count, trips) = (requests.requests(), requests.round_trips);
    let (received, sent) = (bytes(requests.received), bytes(requests.sent));
    let dollars = requests.dollars() * 1e6;
    format!(
        "requests      {count} in {trips} round trips, {received} received, {sent} sent; \
         ${dollars:.2} a million times at the list prices of S3"
    )
}

pub(crate) fn verify(target: &Target, out: &Output) -> Result<Answer, Failure> {
    let report = reading(target)?.verify().wait()?;
    out.object(&json!({
        "ok": report.damage.is_empty(),
        "objects": report.objects,
        "bytes": report.bytes,
        "damage": damage_json(&report.damage),
    }));
    out.line(format!("{} objects, {} read", report.objects, bytes(report.bytes)));
    Ok(show_damage(&report.damage, out))
}

pub(super) fn damage_json(damage: &[Damage]) -> Value {
    damage.iter().map(|one| json!({"object": one.key, "message": one.message})).collect()
}

/// The last lines of a check.
pub(super) fn show_damage(damage: &[Damage], out: &Output) -> Answer {
    for damage in damage {
        out.line(format!("DAMAGED {}", damage.message));
    }
    match damage.is_empty() {
        true => {
            out.line("every checksum is right");
            Answer::Yes
        }
        false => Answer::No,
    }
}
