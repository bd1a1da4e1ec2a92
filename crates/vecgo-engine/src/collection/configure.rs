//! Changing how a collection is searched, while it is open.
//!
//! A version says what index and codes segments get from then on ([`Config`] in its manifest), and each
//! segment what it has ([`Config`] in its directory): a search goes through each by what that is. So a
//! change rewrites nothing, and merges bring it in; [`Collection::compact`] does for all rows at once.

use vecgo_format::Config;

use super::Collection;
use crate::write::Message;
use crate::{Error, Result};

impl Collection {
    /// Changes the index, quantization and recall target to those of `config`, and gives a version that has them, and
    /// all earlier writes. Segments that are begun from then on have them; those there are searched by
    /// what they have until they are merged, unless the index is now [`vecgo_format::Index::Flat`]:
    /// then all rows are scored. The recall target is of searches, and theirs at once.
    ///
    /// # Errors
    /// `InvalidArgument` if `config` is of other dimensions or another metric, or cannot be; nothing is
    /// changed then.
    pub async fn configure(&self, config: Config) -> Result<u64> {
        config.check()?;
        let now = self.config();
        if !config.has_vectors_of(&now) {
            let (name, dim, metric) = (self.name(), now.dim(), now.metric());
            return Err(Error::invalid(format!(
                "collection `{name}` has dim {dim}, metric {metric}, which stay; asked for {config}"
            )));
        }
        self.ask(|reply| Message::Configure { config, reply }).await
    }
}
