//! Which logs make up the collection: each header says where the one before it ended.

use std::collections::BTreeMap;
use std::sync::Arc;

use vecgo_format::{CollectionNames, FormatError, LogHeader, LogPosition, LogRange, LogReader};
use vecgo_io::{HeldObject, Object, SpawnExt, StoreErrorKind};

use super::{Bound, Extent, Recovered, Source};
use crate::manifest::named_is_missing;
use crate::{Error, ErrorKind, Result};

/// Logs that are asked for by number without a look at which there are.
const MOST_UNSEEN: u64 = 4096;
/// Logs that are opened at a time.
const AT_A_TIME: usize = 32;

/// A log with a whole header.
struct Link {
    key: String,
    header: LogHeader,
    object: Box<dyn Object>,
}

/// The logs there are, by number.
#[derive(Default)]
struct Logs {
    whole: BTreeMap<u64, Link>,
    /// Those without a whole header, with what their frames say was durable.
    broken: BTreeMap<u64, Option<u64>>,
}

/// The logs that were opened, by number, and the numbers of all there are, if those were looked for.
#[derive(Debug, Default)]
pub(super) struct Opened {
    logs: Vec<(u64, Box<dyn Object>)>,
    numbers: Vec<u64>,
}

fn named(range: Option<LogRange>) -> Option<LogRange> {
    range.filter(|range| range.last >= range.first)
}

impl Source<'_> {
    /// Opens the logs that are to be replayed.
    pub(super) async fn find_logs(&self, range: Option<LogRange>) -> Result<Opened> {
        let first = range.map_or(1, |range| range.first);
        let last = match (self.extent, named(range)) {
            (Extent::Everything, _) => u64::MAX,
            (Extent::Version, Some(range)) => range.last,
            (Extent::Version, None) => return Ok(Opened::default()),
        };
        // A version names its logs.
        let by_name = self.extent == Extent::Version && last.saturating_sub(first) < MOST_UNSEEN;
        let numbers = match by_name {
            true => (first..=last).collect(),
            false => self.log_numbers().await?,
        };
        let wanted = numbers.iter().copied().filter(|number| (first..=last).contains(number));
        let logs = self.open_logs(wanted.collect()).await?;
        Ok(Opened { logs, numbers: if by_name { Vec::new() } else { numbers } })
    }

    /// Replays logs in their order, and leaves in `recovered` where they end.
    pub(super) async fn replay_logs(
        &self,
        recovered: &mut Recovered,
        range: Option<LogRange>,
        opened: Opened,
    ) -> Result<()> {
        let (first, named) = (range.map_or(1, |range| range.first), named(range));
        if self.extent == Extent::Version && named.is_none() {
            return Ok(());
        }
        for number in opened.numbers {
            recovered.next_log = recovered.next_log.max(number.saturating_add(1));
            if number == recovered.free_log {
                recovered.free_log += 1;
            }
        }
        let logs = self.logs(range, opened.logs, recovered).await?;
        self.replay_from(first, named, logs, recovered).await
    }

    /// Replays the logs of a disk of the writer's own that go on from what was brought back of the store. A log that
    /// is begun now has the number `next` or a later one.
    pub(crate) async fn replay_own(&self, recovered: &mut Recovered, next: u64) -> Result<()> {
        let opened = self.find_logs(None).await?;
        let last = opened.numbers.iter().max();
        recovered.next_log = last.map_or(next, |last| next.max(last.saturating_add(1)));
        let mut logs = self.logs(None, opened.logs, recovered).await?;
        let goes_on = recovered.sequence.saturating_add(1);
        let mut whole = logs.whole.values().map(|link| link.header);
        let first = whole.clone().find(|header| header.first_sequence == goes_on);
        if first.is_none()
            && let Some(later) = whole.find(|header| header.first_sequence > goes_on)
        {
            let detail = format!("it begins with {}, expected {goes_on}", later.first_sequence);
            let error = FormatError::Invalid { what: "log", offset: 0, detail };
            return Err(Error::format(&self.names.log(later.number), error));
        }
        let first = first.map_or(recovered.next_log, |header| header.number);
        // All of those before it is in segments.
        logs.whole = logs.whole.split_off(&first);
        // Hints name memtables by their first logs.
        if recovered.sequence == self.committed.map_or(0, |last| last.manifest.log.flushed) {
            recovered.memtable = self.memtable(first);
        }
        self.replay_from(first, None, logs, recovered).await
    }

    async fn replay_from(
        &self,
        first: u64,
        named: Option<LogRange>,
        logs: Logs,
        recovered: &mut Recovered,
    ) -> Result<()> {
        let links = self.chain(logs.whole, first)?;
        let on_chain = |range: &LogRange| links.iter().any(|link| link.header.number == range.last);
        if let Some(range) = named.filter(|range| !on_chain(range)) {
            return Err(self.no_log(range.last, "the manifest"));
        }
        for (index, link) in links.iter().enumerate() {
            let vouched = links.get(index + 1).map(|next| next.header.previous.end);
            let committed = named.filter(|named| named.last == link.header.number);
            let bound = bound(vouched, committed.map(|range| range.end), self.extent);
            self.replay(link.header, &link.key, &*link.object, bound, recovered).await?;
        }
        let last = links.last().map_or(0, |link| link.header.number);
        // A log whose header is broken was cut short by a crash before anything in it was
        // durable, unless its own frames say otherwise. One before the last whole log is not part
        // of the collection, as that log's header says.
        for (number, durable) in logs.broken.range(last..) {
            if durable.is_some_and(|durable| durable > recovered.sequence) {
                let detail = "its header is broken, though frames in it were durable".to_owned();
                let error = FormatError::Invalid { what: "log", offset: 0, detail };
                return Err(Error::format(&self.names.log(*number), error));
            }
        }
        Ok(())
    }

    /// Those of the logs that are part of the collection, as far as each says itself. One of an older epoch than one
    /// before it, or than the manifest says is in force, lies behind a fence and is none of them.
    async fn logs(
        &self,
        range: Option<LogRange>,
        opened: Vec<(u64, Box<dyn Object>)>,
        recovered: &mut Recovered,
    ) -> Result<Logs> {
        let mut epoch = range.map_or(0, |range| range.epoch);
        let mut logs = Logs::default();
        for (number, object) in opened {
            let key = self.names.log(number);
            let length = usize::try_from(object.length()).unwrap_or(usize::MAX);
            let mut bytes = vec![0u8; LogHeader::BYTES.min(length)];
            object.read_into(0, &mut bytes).await?;
            match LogReader::open(&bytes).map(|reader| *reader.header()) {
                Ok(header) => {
                    check_owner(self.names, &key, &header)?;
                    if header.epoch < epoch {
                        continue;
                    }
                    epoch = header.epoch;
                    recovered.next_epoch = recovered.next_epoch.max(epoch.saturating_add(1));
                    logs.whole.insert(number, Link { key, header, object });
                }
                // Where logs are put whole none is ever cut short.
                Err(error) if self.env.logs.is_none() => return Err(Error::format(&key, error)),
                Err(error @ FormatError::Version { .. }) => {
                    return Err(Error::format(&key, error));
                }
                Err(_) => {
                    let bytes = self.env.store.get(&key).await?;
                    logs.broken.insert(number, LogReader::durable_despite_header(&bytes));
                }
            }
        }
        Ok(logs)
    }

    /// The numbers of the logs there are.
    async fn log_numbers(&self) -> Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for listed in self.env.store.list(&self.names.logs()).await? {
            // A file of another name is not ours and does not stop us.
            let number = self.names.log_number(&listed.key).ok();
            let Some(number) = number.filter(|n| self.names.log(*n) == listed.key) else {
                continue;
            };
            numbers.push(number);
        }
        Ok(numbers)
    }

    /// Opens those of some logs that are there. Where logs are put whole they are read at once, many at a
    /// time.
    async fn open_logs(&self, numbers: Vec<u64>) -> Result<Vec<(u64, Box<dyn Object>)>> {
        let mut opened = Vec::new();
        for some in numbers.chunks(AT_A_TIME) {
            let open = some.iter().map(|number| {
                let (number, key) = (*number, self.names.log(*number));
                let (store, whole) = (Arc::clone(&self.env.store), self.env.logs.is_none());
                self.env.spawn.start(async move {
                    let object = match whole {
                        true => store.get(&key).await.map(|bytes| {
                            Box::new(HeldObject::new(key, bytes.into())) as Box<dyn Object>
                        }),
                        false => store.open(&key, None).await,
                    };
                    (number, object)
                })
            });
            for task in open.collect::<Vec<_>>() {
                let (number, object) = task.await.ok_or_else(Error::panicked)?;
                match object {
                    Err(error) if error.kind() == StoreErrorKind::NotFound => {}
                    object => opened.push((number, object?)),
                }
            }
        }
        Ok(opened)
    }

    fn no_log(&self, number: u64, named_by: &str) -> Error {
        let message = format!("{}: no whole log there", self.names.log(number));
        named_is_missing(Error::new(ErrorKind::NotFound, message), named_by)
    }

    /// The logs that make up the collection, first to last: from the last one back, each header
    /// names the one before.
    fn chain(&self, mut logs: BTreeMap<u64, Link>, first: u64) -> Result<Vec<Link>> {
        let mut links: Vec<Link> = logs.pop_last().map(|(_, link)| link).into_iter().collect();
        while let Some(link) = links.last() {
            let previous = link.header.previous.number;
            if previous < first {
                break;
            }
            let before = logs.remove(&previous);
            let before = before.filter(|_| previous < link.header.number);
            links.push(before.ok_or_else(|| self.no_log(previous, &link.key))?);
        }
        links.reverse();
        Ok(links)
    }
}

/// Whether a log is the one that its key says.
pub(crate) fn check_owner(names: CollectionNames, key: &str, header: &LogHeader) -> Result<()> {
    if header.collection == names.0 && names.log(header.number) == key {
        return Ok(());
    }
    let detail = format!("it is log {} of {}", header.number, header.collection);
    Err(Error::format(key, FormatError::Invalid { what: "log", offset: 0, detail }))
}

fn bound(vouched: Option<LogPosition>, committed: Option<LogPosition>, extent: Extent) -> Bound {
    // A reader stops where its version ends, though the log goes on.
    let stop = match extent {
        Extent::Version => committed.or(vouched),
        Extent::Everything => vouched,
    };
    let vouched = vouched.filter(|_| stop == vouched);
    Bound { must_reach: [vouched, committed], stop }
}
