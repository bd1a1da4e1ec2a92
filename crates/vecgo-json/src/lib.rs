//! What Vecgo says and takes as JSON: one form of each thing, on the command line and over HTTP.
//!
//! ```
//! use vecgo_json::RecordJson;
//!
//! let line = r#"{"id": "cat", "vector": [0.9, 0.1], "metadata": {"legs": 4}}"#;
//! let record: RecordJson = serde_json::from_str(line).unwrap();
//! let (id, record) = record.into_record();
//! assert_eq!(id, Some("cat".into()));
//! assert_eq!(record.vector, [0.9, 0.1]);
//! ```

#![forbid(unsafe_code)]

mod change;
mod collection;
mod explain;
mod read;
mod record;
mod stats;

pub use change::ConfigChange;
pub use collection::{CollectionJson, ConfigJson, VersionJson};
pub use explain::{ExplainJson, PartJson};
pub use read::{Few, Unread, nullable, object, read};
pub use record::{Base64, FacetJson, HitJson, IdJson, RecordJson, VectorJson, there};
pub use stats::{FailureJson, RequestsJson, SegmentJson, StatsJson};
