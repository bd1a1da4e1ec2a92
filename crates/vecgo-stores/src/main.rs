//! A bucket in memory on loopback, which answers as late as it is told to: for measurements.
//!
//! `vecgo-stores PORT DELAY_MS` prints the endpoint, and then for each line that comes on stdin what was
//! asked since the last one, by method, with the number of bytes that were asked for in ranges. `delay MS` is another
//! delay from then on.

#![forbid(unsafe_code)]
#![expect(clippy::disallowed_macros, reason = "this is a program")]

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::io::{self, BufRead};
use std::time::Duration;

use vecgo_stores::Fake;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().collect();
    let [_, port, delay] = arguments.as_slice() else {
        return Err("usage: vecgo-stores PORT DELAY_MS".into());
    };
    let fake = Fake::start_on(port.parse()?)?;
    fake.set_delay(Duration::from_millis(delay.parse()?));
    println!("{}", fake.endpoint());
    for line in io::stdin().lock().lines() {
        let line = line?;
        if let Some(delay) = line.strip_prefix("delay ") {
            fake.set_delay(Duration::from_millis(delay.parse()?));
        }
        let mut methods: BTreeMap<String, u64> = BTreeMap::new();
        let mut bytes = 0;
        for asked in fake.asked() {
            *methods.entry(asked.method).or_default() += 1;
            bytes += asked.range.as_deref().and_then(length).unwrap_or(0);
        }
        fake.forget();
        println!("{line}: {methods:?}, {bytes} bytes of ranges");
    }
    Ok(())
}

fn length(range: &str) -> Option<u64> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    Some(last.parse::<u64>().ok()? + 1 - first.parse::<u64>().ok()?)
}
