use serde_json::Value;

use super::params::SearchParams;
use super::request::Request;
use super::search::Hit;
use super::view::Snapshot;
use crate::filter::{key, keys_of};
use crate::{Error, Result};

/// What to group hits by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grouping {
    /// The field: a path of keys, as in a filter. Records without it are in no group, and a list is one
    /// value.
    pub field: String,
    /// How many groups.
    pub groups: usize,
    /// How many hits of each at most.
    pub hits: usize,
}

/// The nearest hits whose field has one value.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The value.
    pub value: Value,
    /// Nearest first; one at least.
    pub hits: Vec<Hit>,
}

/// Hits that are looked through at first, for each that is wanted.
const LOOKED_THROUGH: usize = 4;

impl Snapshot {
    /// Looks through more and more of the nearest until there are enough groups.
    pub(crate) async fn search_groups(
        &self,
        query: &[f32],
        request: &Request,
        grouping: &Grouping,
    ) -> Result<Vec<Group>> {
        if grouping.groups == 0 || grouping.hits == 0 {
            return Err(Error::invalid("0 groups or 0 hits of each; expected 1 or more"));
        }
        let path = keys_of(&grouping.field);
        let all = usize::try_from(self.count()).unwrap_or(usize::MAX);
        let wanted = grouping.groups.saturating_mul(grouping.hits);
        let mut k = wanted.saturating_mul(LOOKED_THROUGH);
        loop {
            let mut params = SearchParams { k: k.min(all), ..request.params };
            params.fetch.metadata = true;
            let mut hits = self.search(query.to_vec(), params).await?.pop().unwrap_or_default();
            let found = hits.len();
            request.cut(&mut hits);
            let ended = found < k || hits.len() < found;
            let mut groups: Vec<Group> = Vec::new();
            for hit in hits {
                put(&mut groups, hit, &path, grouping);
            }
            let full = groups.iter().filter(|group| group.hits.len() == grouping.hits).count();
            if ended || full == grouping.groups {
                let fetched = request.params.fetch.metadata;
                for hit in groups.iter_mut().flat_map(|group| &mut group.hits) {
                    match &mut hit.metadata {
                        Some(metadata) if fetched => request.fields.apply(metadata),
                        metadata => *metadata = None,
                    }
                }
                return Ok(groups);
            }
            k = k.saturating_mul(LOOKED_THROUGH);
        }
    }
}

/// Equal as filters have it: a number is what it is, integer or not.
fn same(a: &Value, b: &Value) -> bool {
    match (key(a), key(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

fn put(groups: &mut Vec<Group>, hit: Hit, path: &[String], grouping: &Grouping) {
    let metadata = hit.metadata.as_ref();
    let value = metadata.and_then(|metadata| {
        path.iter().try_fold(metadata, |value, key| value.as_object()?.get(key))
    });
    let Some(value) = value.cloned() else { return };
    let there = groups.iter().position(|group| same(&group.value, &value));
    match there {
        Some(place) if groups[place].hits.len() < grouping.hits => groups[place].hits.push(hit),
        None if groups.len() < grouping.groups => groups.push(Group { value, hits: vec![hit] }),
        _ => {}
    }
}
