use serde_json::Value;
use vecgo_format::Document;

use super::params::SearchParams;
use super::search::Hit;
use crate::filter::keys_of;
use crate::{Error, Filter, Result};

/// A search: how far it goes, among which records, and what of them it returns.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Request {
    /// How many are to be found, and how far to go for it.
    pub params: SearchParams,
    /// Only records that this matches.
    pub filter: Option<Filter>,
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
        for metadata in hits.iter_mut().filter_map(|hit| hit.metadata.as_mut()) {
            self.fields.apply(metadata);
        }
        hits
    }
}

impl Selection {
    pub(super) fn apply(&self, metadata: &mut Value) {
        match self {
            Selection::All => {}
            Selection::Only(fields) => {
                let mut chosen = Value::Object(Document::new());
                for field in fields {
                    copy(metadata, &keys_of(field), &mut chosen);
                }
                *metadata = chosen;
            }
            Selection::But(fields) => fields.iter().for_each(|field| {
                if let [parents @ .., last] = &*keys_of(field) {
                    let parent =
                        parents.iter().try_fold(metadata.as_object_mut(), |object, key| {
                            Some(object?.get_mut(key)?.as_object_mut())
                        });
                    if let Some(Some(parent)) = parent {
                        parent.remove(last);
                    }
                }
            }),
        }
    }
}

/// Puts what a path leads to where it stood.
fn copy(from: &Value, path: &[String], to: &mut Value) {
    let Some(value) = path.iter().try_fold(from, |value, key| value.as_object()?.get(key)) else {
        return;
    };
    let mut place = to;
    for key in path {
        if !place.is_object() {
            return;
        }
        let Some(object) = place.as_object_mut() else { return };
        place = object.entry(key.clone()).or_insert_with(|| Value::Object(Document::new()));
    }
    *place = value.clone();
}
