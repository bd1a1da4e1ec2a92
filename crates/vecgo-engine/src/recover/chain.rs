//! Which logs make up the collection: each header says where the one before it ended.

use vecgo_format::{FormatError, LogHeader, LogPosition, LogRange, LogReader, Previous};
use vecgo_io::{Object, StoreErrorKind};

use super::{Bound, Extent, Recovered, Source};
use crate::manifest::named_is_missing;
use crate::{Error, ErrorKind, Result};

/// A log with a whole header.
struct Link {
    key: String,
    header: LogHeader,
    object: Box<dyn Object>,
}

impl Source<'_> {
    /// Replays the logs in their order, and leaves in `recovered` where they end.
    pub(super) async fn replay_logs(
        &self,
        recovered: &mut Recovered,
        range: Option<LogRange>,
    ) -> Result<()> {
        let first = range.map_or(1, |range| range.first);
        let named = range.filter(|range| range.last >= range.first);
        let last = match self.extent {
            Extent::Version => named.map_or(first - 1, |range| range.last),
            Extent::Everything => u64::MAX,
        };
        if self.extent == Extent::Version && named.is_none() {
            return Ok(());
        }
        let links = self.links(first, last, recovered).await?;
        self.check_links(&links, named)?;
        for (index, link) in links.iter().enumerate() {
            let vouched = links.get(index + 1).map(|next| next.header.previous.end);
            let committed = named.filter(|named| named.last == link.header.number);
            let bound = bound(vouched, committed.map(|range| range.end), self.extent);
            let end = self.replay(link.header, &link.key, &*link.object, bound, recovered).await?;
            recovered.tail = Previous { number: link.header.number, end };
        }
        Ok(())
    }

    /// The logs from `first` to `last` that have a whole header.
    ///
    /// A log without one was cut short by a crash before anything in it was durable, unless
    /// something says otherwise; [`Source::check_links`] looks for that.
    async fn links(&self, first: u64, last: u64, recovered: &mut Recovered) -> Result<Vec<Link>> {
        let store = &*self.env.store;
        let mut links = Vec::new();
        for listed in store.list(&self.names.logs()).await? {
            // A file of another name is not ours and does not stop us.
            let Ok(number) = self.names.log_number(&listed.key) else { continue };
            recovered.next_log = recovered.next_log.max(number.saturating_add(1));
            if number < first || number > last {
                continue;
            }
            let object = match store.open(&listed.key).await {
                Err(error) if error.kind() == StoreErrorKind::NotFound => continue,
                object => object?,
            };
            let mut bytes = vec![
                0u8;
                LogHeader::BYTES
                    .min(usize::try_from(object.length()).unwrap_or(usize::MAX))
            ];
            object.read_into(0, &mut bytes).await?;
            match LogReader::open(&bytes) {
                Ok(reader) => {
                    let header = *reader.header();
                    recovered.next_epoch = recovered.next_epoch.max(header.epoch.saturating_add(1));
                    links.push(Link { key: listed.key, header, object });
                }
                Err(error @ FormatError::Version { .. }) => {
                    return Err(Error::format(&listed.key, error));
                }
                Err(_) => {}
            }
        }
        Ok(links)
    }

    fn check_links(&self, links: &[Link], named: Option<LogRange>) -> Result<()> {
        let missing = |number: u64, named_by: &str| {
            let message = format!("{}: no whole log there", self.names.log(number));
            Err(named_is_missing(Error::new(ErrorKind::NotFound, message), named_by))
        };
        for required in named.into_iter().flat_map(|named| [named.first, named.last]) {
            if !links.iter().any(|link| link.header.number == required) {
                return missing(required, "the manifest");
            }
        }
        for link in links {
            let expected = (self.names.0, self.names.log(link.header.number));
            if (link.header.collection, &link.key) != (expected.0, &expected.1) {
                let detail = format!("log {} of {}", link.header.number, link.header.collection);
                let error = FormatError::Invalid { what: "log", offset: 0, detail };
                return Err(Error::format(&link.key, error));
            }
        }
        for pair in links.windows(2) {
            if pair[1].header.previous.number != pair[0].header.number {
                return missing(pair[1].header.previous.number, &pair[1].key);
            }
        }
        // Without a manifest the row begins with log 1, after nothing.
        if let (None, Some(first)) = (named, links.first()) {
            let before = first.header.previous.number;
            let flushed_through = self.committed.map_or(0, |c| c.manifest.log.last);
            if before > flushed_through {
                return missing(before, &first.key);
            }
        }
        Ok(())
    }
}

fn bound(vouched: Option<LogPosition>, committed: Option<LogPosition>, extent: Extent) -> Bound {
    match (vouched, committed) {
        // A reader stops where its version ends, though the log goes on.
        (_, Some(end)) if extent == Extent::Version => Bound { must_reach: Some(end), stop: true },
        (Some(end), _) => Bound { must_reach: Some(end), stop: true },
        (None, end) => Bound { must_reach: end, stop: false },
    }
}
