use vecgo_engine::Database;

use crate::call::awaitable;
use crate::{Call, Collection, Config, Schema};

/// A collection about to be created.
#[derive(Debug, Clone)]
#[must_use = "a call does nothing until it is awaited or waited for"]
pub struct Create {
    pub(crate) database: Database,
    pub(crate) name: String,
    pub(crate) config: Config,
    pub(crate) schema: Schema,
}

impl Create {
    /// What its documents have to be.
    pub fn schema(mut self, schema: Schema) -> Self {
        self.schema = schema;
        self
    }

    fn call(self) -> Call<()> {
        let Self { database, name, config, schema } = self;
        Call::on(database.threads(), async move { database.create(&name, config, schema).await })
    }
}

awaitable!(Create => ());

/// A collection about to be opened, or created if it is not there.
#[derive(Debug, Clone)]
#[must_use = "a call does nothing until it is awaited or waited for"]
pub struct OpenOrCreate {
    pub(crate) database: Database,
    pub(crate) name: String,
    pub(crate) config: Config,
    pub(crate) schema: Option<Schema>,
}

impl OpenOrCreate {
    /// What its documents have to be. Without it a collection that is there may have any schema.
    pub fn schema(mut self, schema: Schema) -> Self {
        self.schema = Some(schema);
        self
    }

    fn call(self) -> Call<Collection> {
        let Self { database, name, config, schema } = self;
        Call::on(database.threads(), async move {
            Ok(Collection::new(database.open_or_create(&name, config, schema).await?))
        })
    }
}

awaitable!(OpenOrCreate => Collection);
