use serde_json::Value;
use vecgo_format::{Document, field_path};

use super::params::SearchParams;
use super::search::Hit;
use crate::{Error, Filter, Result};

/// A search: how far it goes, among which records, and what of them it returns.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Request {
    /// How many are to be found, and how far to go for it.
    pub params: SearchParams,
    /// Only records that this matches.
    pub filter: Option<Filter>,
    /// Only at this version or a later one. A replica that is not there yet waits for it, and fails after ten
    /// seconds.
    pub min_version: Option<u64>,
    /// Only hits of at least this score.
    pub min_score: Option<f32>,
    /// Which fields of the metadata are returned.
    pub fields: Selection,
}

/// Fields of a document, each a path of keys as in a [`Filter`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Selection {
    /// All.
    #[default]
    All,
    /// These.
    Only(Vec<String>),
    /// All but these.
    But(Vec<String>),
}

impl Request {
    /// Refuses a score that is none.
    pub(crate) fn check(&self) -> Result<()> {
        match self.min_score {
            Some(score) if score.is_nan() => {
                Err(Error::invalid("min_score is NaN; expected a number"))
            }
            _ => Ok(()),
        }
    }

    /// Leaves out hits that are not near enough, and fields that are not wanted.
    pub(super) fn cut(&self, hits: &mut Vec<Hit>) {
        if let Some(least) = self.min_score {
            hits.retain(|hit| hit.score >= least);
        }
    }

    pub(crate) fn finish(&self, mut hits: Vec<Hit>) -> Vec<Hit> {
        self.cut(&mut hits);
        self.fields.apply(hits.iter_mut().filter_map(|hit| hit.metadata.as_mut()));
        hits
    }
}

impl Selection {
    /// Leaves of each document what is wanted.
    pub(super) fn apply<'a>(&self, documents: impl Iterator<Item = &'a mut Value>) {
        let (Selection::Only(fields) | Selection::But(fields)) = self else { return };
        let paths: Vec<_> = fields.iter().map(|field| field_path(field)).collect();
        for document in documents {
            if let Selection::But(_) = self {
                paths.iter().for_each(|path| remove(document, path));
                continue;
            }
            let mut chosen = Value::Object(Document::new());
            paths.iter().for_each(|path| copy(document, path, &mut chosen));
            *document = chosen;
        }
    }
}

/// Takes away what a path leads to.
fn remove(document: &mut Value, path: &[String]) {
    let Some((last, parents)) = path.split_last() else { return };
    let parent =
        parents.iter().try_fold(document, |value, key| value.as_object_mut()?.get_mut(key));
    if let Some(Value::Object(parent)) = parent {
        parent.remove(last);
    }
}

/// Puts what a path leads to where it stood.
fn copy(from: &Value, path: &[String], to: &mut Value) {
    let Some(value) = path.iter().try_fold(from, |value, key| value.as_object()?.get(key)) else {
        return;
    };
    let mut place = to;
    for key in path {
        let Some(object) = place.as_object_mut() else { return };
        place = object.entry(key.clone()).or_insert_with(|| Value::Object(Document::new()));
    }
    *place = value.clone();
}
