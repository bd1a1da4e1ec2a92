use std::collections::BTreeMap;

use serde_json::Value;
use vecgo_format::{FieldKey, FieldSchema, field_path};

use super::account::Account;
use super::fetch::Fetch;
use super::params::SearchParams;
use super::request::Request;
use super::search::Hit;
use super::view::Snapshot;
use crate::filter::key;
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
#[non_exhaustive]
pub struct Group {
    /// The value.
    pub value: Value,
    /// Nearest first; one at least.
    pub hits: Vec<Hit>,
}

/// Hits that are looked through at first, for each that is wanted.
const LOOKED_THROUGH: usize = 4;
/// And at most.
const MOST_LOOKED_THROUGH: usize = 1 << 16;

/// Groups in the making.
#[derive(Debug, Default)]
struct Groups {
    groups: Vec<Group>,
    /// Whether the values are timestamps.
    timed: bool,
    /// The places of those whose value has a key of its own.
    places: BTreeMap<FieldKey, usize>,
}

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
        request.check()?;
        let path = field_path(&grouping.field);
        let declared = self.view.schema.field(&grouping.field);
        let timed = declared.is_some_and(FieldSchema::is_of_timestamps);
        let all = usize::try_from(self.count()).unwrap_or(usize::MAX);
        let most = all.min(MOST_LOOKED_THROUGH);
        let wanted = grouping.groups.saturating_mul(grouping.hits);
        let mut k = wanted.saturating_mul(LOOKED_THROUGH).min(most);
        loop {
            let fetch = Fetch { metadata: true, ..Fetch::default() };
            let params = SearchParams { k, fetch, ..request.params };
            let mut hits = self.search(query.to_vec(), params).await?.pop().unwrap_or_default();
            let found = hits.len();
            request.cut(&mut hits);
            let ended = k >= most || hits.len() < found;
            let mut groups = Groups { timed, ..Groups::default() };
            hits.into_iter().for_each(|hit| groups.put(hit, &path, grouping));
            let full = groups.groups.iter().filter(|group| group.hits.len() == grouping.hits);
            if ended || full.count() == grouping.groups {
                return self.returned(groups.groups, request).await;
            }
            k = k.saturating_mul(LOOKED_THROUGH).min(most);
        }
    }

    /// Hits with what was asked for of them.
    async fn returned(&self, mut groups: Vec<Group>, request: &Request) -> Result<Vec<Group>> {
        let fetch = request.params.fetch;
        let metadata = groups.iter_mut().flat_map(|group| &mut group.hits);
        request.fields.apply(metadata.filter_map(|hit| hit.metadata.as_mut()));
        let mut account = Account::new(&self.shared.env.memory);
        let vector = if fetch.vector { self.shared.dim() as u64 * 4 } else { 0 };
        for hit in groups.iter_mut().flat_map(|group| &mut group.hits) {
            hit.metadata.take_if(|_| !fetch.metadata);
            if (fetch.vector || fetch.payload)
                && let Some(address) = self.find(&hit.id).await?
            {
                let parts = self.fetch(address, Fetch { metadata: false, ..fetch }).await?;
                account.add(parts.bytes.saturating_add(vector)).await?;
                (hit.vector, hit.payload) = (parts.vector, parts.payload);
            }
        }
        Ok(groups)
    }
}

impl Groups {
    fn put(&mut self, hit: Hit, path: &[String], grouping: &Grouping) {
        let metadata = hit.metadata.as_ref();
        let value = metadata.and_then(|metadata| {
            path.iter().try_fold(metadata, |value, key| value.as_object()?.get(key))
        });
        let Some(value) = value.cloned() else { return };
        let own = key(&value, self.timed);
        let there = match &own {
            Some(own) => self.places.get(own).copied(),
            None => self.groups.iter().position(|group| same(&group.value, &value, self.timed)),
        };
        if let Some(place) = there {
            if let Some(group) = self.groups.get_mut(place)
                && group.hits.len() < grouping.hits
            {
                group.hits.push(hit);
            }
        } else if self.groups.len() < grouping.groups {
            self.places.extend(own.map(|own| (own, self.groups.len())));
            self.groups.push(Group { value, hits: vec![hit] });
        }
    }
}

/// Equal as filters have it: a number is what it is, integer or not. As deep as documents are nested.
fn same(a: &Value, b: &Value, timed: bool) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b, timed))
        }
        (Value::Object(a), Value::Object(b)) => {
            let same = |name: &str, a| b.get(name).is_some_and(|b| same(a, b, false));
            a.len() == b.len() && a.iter().all(|(name, a)| same(name, a))
        }
        _ => key(a, timed).is_some_and(|a| Some(a) == key(b, timed)),
    }
}
