use serde_json::{Value, json};
use vecgo::{Damage, Index, RequestCounts};

use super::collections::described;
use super::{reader, reading};
use crate::Answer;
use crate::args::Target;
use crate::failure::Failure;
use crate::output::{Output, bytes};

pub(crate) fn stats(target: &Target, out: &Output) -> Result<Answer, Failure> {
    let stats = reader(target)?.stats();
    let segments: Vec<_> = stats
        .segments
        .iter()
        .map(|segment| {
            json!({
                "number": segment.number,
                "rows": segment.rows,
                "dead_rows": segment.dead_rows,
                "bytes": segment.bytes,
                "index": segment.index.to_string(),
                "quantization": segment.quantization.to_string(),
            })
        })
        .collect();
    let segment_bytes: u64 = stats.segments.iter().map(|segment| segment.bytes).sum();
    let mut described = described(&stats.config);
    let more = json!({
        "collection": target.collection,
        "records": stats.records,
        "dead_rows": stats.dead_rows,
        "version": stats.version,
        "sequence": stats.sequence,
        "memtable_rows": stats.memtable_rows,
        "memtable_bytes": stats.memtable_bytes,
        "memory_limit": stats.memory.limit,
        "segment_bytes": segment_bytes,
        "segments": segments,
        "simd": stats.simd,
        "requests": stats.requests.map(requests_json),
        "disk_cache_bytes": stats.disk_cache_bytes,
    });
    described.extend(more.as_object().cloned().unwrap_or_default());
    out.object(&Value::Object(described));
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
pub(super) fn requests_json(requests: RequestCounts) -> Value {
    json!({
        "gets": requests.gets,
        "puts": requests.puts,
        "lists": requests.lists,
        "deletes": requests.deletes,
        "received_bytes": requests.received,
        "sent_bytes": requests.sent,
        "round_trips": requests.round_trips,
        "dollars": requests.dollars(),
    })
}

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
