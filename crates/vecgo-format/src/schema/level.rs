use std::collections::BTreeMap;

use super::{FieldSchema, FieldType, SchemaError};
use crate::field_name;

/// What is declared of the fields of one object.
#[derive(Debug, Clone, Default)]
pub(crate) struct Level {
    inner: BTreeMap<String, Node>,
}

/// What is declared of one field, and of those in it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Node {
    pub(crate) field: Option<FieldSchema>,
    pub(crate) level: Level,
}

impl Level {
    /// Of an object of which nothing is declared.
    pub(crate) const fn nothing() -> Self {
        Self { inner: BTreeMap::new() }
    }

    pub(super) fn declare(
        &mut self,
        path: &[String],
        field: FieldSchema,
    ) -> Result<(), SchemaError> {
        let name_to = |keys: usize| field_name(path.iter().take(keys));
        let mut level = self;
        for (place, key) in path.iter().enumerate() {
            let node = level.inner.entry(key.clone()).or_default();
            let keys = place + 1;
            if keys < path.len() {
                node.check_inner(|| (name_to(path.len()), name_to(keys)))?;
                level = &mut node.level;
                continue;
            }
            if node.field.is_some() {
                return Err(SchemaError::Twice { field: name_to(keys) });
            }
            node.field = Some(field);
            if let Some(inner) = node.level.inner.keys().next() {
                let inner = [name_to(keys).as_str(), &field_name([inner])].join(".");
                node.check_inner(|| (inner.clone(), name_to(keys)))?;
            }
            return Ok(());
        }
        Ok(())
    }

    pub(crate) fn find(&self, key: &str) -> Option<&Node> {
        self.inner.get(key)
    }

    /// The keys of the fields declared, and what is declared of them.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.inner.iter().map(|(key, node)| (key.as_str(), node))
    }
}

impl Node {
    /// Whether fields in it may be declared.
    fn check_inner(&self, names: impl Fn() -> (String, String)) -> Result<(), SchemaError> {
        match self.field {
            Some(found)
                if found.is_list() || !matches!(found.of(), FieldType::Object | FieldType::Any) =>
            {
                let (field, outer) = names();
                Err(SchemaError::Within { field, outer, found: found.to_string() })
            }
            _ => Ok(()),
        }
    }

    /// The path to what must be there: its own, which is empty, or that of one in it.
    pub(crate) fn required(&self) -> Option<(Vec<&str>, FieldSchema)> {
        if let Some(field) = self.field.filter(|field| field.is_required()) {
            return Some((Vec::new(), field));
        }
        self.required_within()
    }

    /// That of one in it.
    pub(crate) fn required_within(&self) -> Option<(Vec<&str>, FieldSchema)> {
        self.level.nodes().find_map(|(key, node)| {
            let (mut path, field) = node.required()?;
            path.insert(0, key);
            Some((path, field))
        })
    }
}
