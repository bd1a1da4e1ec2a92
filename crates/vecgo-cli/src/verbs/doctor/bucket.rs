#![expect(clippy::disallowed_methods, reason = "latencies are measured by the machine's clock")]

use std::time::Instant;

use futures_lite::future::block_on;
use vecgo_io::{
    BucketStore, OpenError, PageCache, PutOutcome, Rand, SpawnExt, Store, StoreError,
    StoreErrorKind, SystemRand, ThreadPool,
};

use super::Finding;
use crate::failure::Failure;

/// Requests whose median is told.
const REQUESTS: usize = 9;
/// How many want one name at the same time, and how often.
const RACERS: u8 = 8;
const RACES: u32 = 2;
/// Objects that are listed.
const LISTED: usize = 12;

/// So much may two clocks differ; the shortest leases are of minutes.
const MOST_OFF_MS: i64 = 30_000;

type Found = Result<String, String>;

/// Checks what a bucket does, with objects under `probe/` that are deleted again.
pub(super) fn probe(scheme: &str, rest: &str) -> Result<Vec<Finding>, Failure> {
    let store =
        BucketStore::open(scheme, rest, &[], &PageCache::default()).map_err(vecgo::Error::from)?;
    let threads = ThreadPool::new().map_err(OpenError::System).map_err(vecgo::Error::from)?;
    let rand = SystemRand::new().map_err(OpenError::System).map_err(vecgo::Error::from)?;
    let folder = format!("probe/{:032x}", rand.next_u128());
    let probe = Probe { store, folder, threads };
    let findings = probe.all();
    probe.clean();
    Ok(findings)
}

struct Probe {
    store: BucketStore,
    folder: String,
    threads: ThreadPool,
}

fn wall_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

fn failed(error: &StoreError) -> String {
    error.to_string()
}

impl Probe {
    fn all(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut tell = |what, found: Found| {
            let ok = found.is_ok();
            findings.push(Finding { what, ok, found: found.unwrap_or_else(|why| why) });
            ok
        };
        if !tell("reachable", self.reach()) || !tell("put, get", self.put_and_get()) {
            return findings;
        }
        tell("ranges", self.ranges());
        tell("listing", self.listing());
        tell("conditions", self.conditions());
        tell("races", self.races());
        tell("parts", self.parts());
        tell("deletion", self.deletion());
        tell("clock", self.clock());
        tell("latency", self.latency());
        findings
    }

    fn key(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }

    /// Puts an object that must not be there.
    fn put(&self, name: &str, body: &[u8]) -> Result<PutOutcome, String> {
        let key = self.key(name);
        let put = self.store.put_if_absent(&key, body.to_vec().into());
        match block_on(put) {
            Ok(PutOutcome::Unknown(error)) | Err(error) => Err(failed(&error)),
            Ok(outcome) => Ok(outcome),
        }
    }

    fn get(&self, name: &str) -> Result<Vec<u8>, String> {
        block_on(self.store.get(&self.key(name))).map_err(|error| failed(&error))
    }

    fn reach(&self) -> Found {
        let listed = block_on(self.store.list("catalogue/")).map_err(|error| {
            format!("no: {}; check the endpoint, the region and the credentials", failed(&error))
        })?;
        Ok(match listed.len() {
            0 => "yes; no database is there yet".to_owned(),
            _ => "yes; a database is there".to_owned(),
        })
    }

    fn put_and_get(&self) -> Found {
        let put = self.put("object", b"some bytes");
        put.map_err(|why| format!("no: {why}; readers work, a writer does not"))?;
        match self.get("object")? == b"some bytes" {
            true => Ok("an object comes back as it was put".to_owned()),
            false => Err("an object comes back with other bytes".to_owned()),
        }
    }

    fn ranges(&self) -> Found {
        let object = block_on(self.store.open(&self.key("object"), Some(10)));
        let object = object.map_err(|error| failed(&error))?;
        let mut out = [0; 4];
        block_on(object.read_past(3, &mut out)).map_err(|error| failed(&error))?;
        match &out == b"e by" {
            true => Ok("a part of an object can be read".to_owned()),
            false => Err("a part of an object comes with other bytes".to_owned()),
        }
    }

    fn listing(&self) -> Found {
        for number in 0..LISTED {
            self.put(&format!("list/{number:02}"), b"x")?;
        }
        let listed = block_on(self.store.list(&self.key("list/"))).map_err(|e| failed(&e))?;
        let expected: Vec<String> =
            (0..LISTED).map(|number| self.key(&format!("list/{number:02}"))).collect();
        match listed.iter().map(|listed| &listed.key).eq(&expected) {
            true => Ok("tells at once what was put".to_owned()),
            false => Err(format!(
                "{} of {LISTED} objects are listed right after they were put: \
                 a writer could not tell what there is",
                listed.len()
            )),
        }
    }

    fn conditions(&self) -> Found {
        self.put("once", b"first")?;
        let second = self.put("once", b"second")?;
        match (second, self.get("once")? == b"first") {
            (PutOutcome::Conflict, true) => Ok("a name that is taken is refused".to_owned()),
            (PutOutcome::Conflict, false) => {
                Err("a put was refused and done all the same".to_owned())
            }
            _ => Err("puts overwrite though asked not to (`If-None-Match`): \
                      Vecgo does not write here, two writers could not be kept apart"
                .to_owned()),
        }
    }

    /// Some servers keep to the condition only as long as nobody else asks at the same time.
    fn races(&self) -> Found {
        for race in 0..RACES {
            let key = self.key(&format!("race/{race}"));
            let racers: Vec<_> = (0..RACERS)
                .map(|racer| {
                    let (store, key) = (self.store.clone(), key.clone());
                    self.threads.start(async move {
                        let put = store.put_if_absent(&key, vec![racer].into()).await;
                        matches!(put, Ok(PutOutcome::Committed))
                    })
                })
                .collect();
            let won = racers.into_iter().filter_map(block_on).filter(|won| *won).count();
            if won != 1 {
                return Err(format!(
                    "{won} of {RACERS} who wanted one name at the same time were told that it is \
                     theirs, expected 1: two writers could not be kept apart"
                ));
            }
        }
        Ok(format!("of {RACERS} who want one name at the same time one gets it"))
    }

    fn parts(&self) -> Found {
        let body: Vec<u8> = (0u32..5 << 20).flat_map(u32::to_le_bytes).collect();
        let written = block_on(async {
            let mut writer = self.store.create(&self.key("parts")).await?;
            writer.write(&body).await?;
            writer.finish().await
        });
        written.map_err(|error| failed(&error))?;
        let start = Instant::now();
        if self.get("parts")? != body {
            return Err("an object put in parts comes back with other bytes".to_owned());
        }
        let rate = 20.0 / start.elapsed().as_secs_f64();
        Ok(format!(
            "20 MiB put in parts and read at {rate:.0} MiB/s; have a rule of the bucket delete \
             uploads that are never finished"
        ))
    }

    fn deletion(&self) -> Found {
        let key = self.key("object");
        block_on(self.store.delete(&key)).map_err(|error| failed(&error))?;
        block_on(self.store.delete(&key)).map_err(|error| failed(&error))?;
        match block_on(self.store.get(&key)) {
            Err(error) if error.kind() == StoreErrorKind::NotFound => {
                Ok("what is deleted is gone".to_owned())
            }
            Err(error) => Err(failed(&error)),
            Ok(_) => Err("what was deleted can still be read".to_owned()),
        }
    }

    /// Leases of backups and pins end by the clocks of those who look at them, and requests are signed
    /// with the time: the bucket's clock stands for those of the other machines.
    fn clock(&self) -> Found {
        let before = wall_ms();
        self.put("clock", b"now")?;
        let after = wall_ms();
        let told = block_on(self.store.put_at_ms(&self.key("clock"))).map_err(|e| failed(&e))?;
        // Whole seconds are told: it may have been put any time in that one.
        let behind = (before - told - 999).max(0);
        let ahead = (told - after).max(0);
        match (behind.max(ahead), if behind > ahead { "ahead of" } else { "behind" }) {
            (0..1000, _) => {
                Ok("this machine's is that of the bucket, to a second or two".to_owned())
            }
            (off, way) if off < MOST_OFF_MS => {
                Ok(format!("this machine's is {} s {way} that of the bucket", off / 1000))
            }
            (off, way) => Err(format!(
                "this machine's is {} s {way} that of the bucket: leases of backups and pins end \
                 too early or too late, and a provider refuses requests that are 15 minutes off; \
                 set it by NTP",
                off / 1000
            )),
        }
    }

    fn latency(&self) -> Found {
        let median = |request: &dyn Fn(usize) -> Result<(), String>| {
            let mut took = Vec::new();
            for number in 0..REQUESTS {
                let start = Instant::now();
                request(number)?;
                took.push(start.elapsed().as_secs_f64() * 1e3);
            }
            took.sort_by(f64::total_cmp);
            Ok::<_, String>(took[REQUESTS / 2])
        };
        let put = median(&|number| self.put(&format!("time/{number}"), &[7; 4096]).map(drop))?;
        let get = median(&|number| self.get(&format!("time/{number}")).map(drop))?;
        let list = median(&|_| {
            block_on(self.store.list(&self.key("list/"))).map(drop).map_err(|e| failed(&e))
        })?;
        Ok(format!(
            "4 KiB: put {put:.1} ms, get {get:.1} ms; list {list:.1} ms (medians of {REQUESTS}); a \
             write that is durable takes a put"
        ))
    }

    /// What stays behind is no part of a database.
    fn clean(&self) {
        for listed in block_on(self.store.list(&self.key(""))).into_iter().flatten() {
            let _ = block_on(self.store.delete(&listed.key));
        }
    }
}
