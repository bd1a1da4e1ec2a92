//! Where values come from: flags over the environment over a file over what is built in.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::Value;

use super::keys::{KEYS, Key, VARIABLES, find};
use super::{SettingsError, value};

/// Who said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody.
    Default,
    /// A file.
    File(PathBuf),
    /// A variable of the environment.
    Variable(String),
    /// The command line.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag => f.write_str("flag"),
        }
    }
}

/// Values of keys as they were said, and by whom.
#[derive(Clone)]
pub struct Layers {
    values: BTreeMap<&'static str, (String, Origin)>,
}

impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.shown().map(|shown| (shown.key, shown.value))).finish()
    }
}

/// A key, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Its name.
    pub key: &'static str,
    /// Its value; of a secret only whether there is one.
    pub value: String,
    /// Who said so.
    pub origin: Origin,
    /// What it is.
    pub about: &'static str,
}

impl Layers {
    /// Reads a file, if one is given, then the environment, then what the command line said.
    ///
    /// # Errors
    /// A file that cannot be read, a key that is none, a value that is not of its key.
    pub fn read(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        let defaults = KEYS.iter().map(|key| (key.name, (key.default.to_owned(), Origin::Default)));
        let mut layers = Self { values: defaults.collect() };
        if let Some(path) = file {
            let text = std::fs::read_to_string(path)
                .map_err(|error| SettingsError(format!("{}: {error}", path.display())))?;
            layers.file(path, &text)?;
        }
        for (name, value) in environment {
            layers.variable(&name, value)?;
        }
        for (name, value) in flags {
            layers.set(&name, value, Origin::Flag)?;
        }
        Ok(layers)
    }

    fn file(&mut self, path: &Path, text: &str) -> Result<(), SettingsError> {
        let at = |what: String| SettingsError(format!("{}: {what}", path.display()));
        // Without the line that is wrong: it may hold a key.
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            let before = text.get(..error.span().map_or(0, |span| span.start)).unwrap_or(text);
            at(format!("line {}: {}", before.matches('\n').count() + 1, error.message()))
        })?;
        for (section, keys) in table {
            let Value::Table(keys) = keys else {
                return Err(at(format!("`{section}` stands in no section")));
            };
            for (name, value) in keys {
                let name = format!("{section}.{name}");
                let value = text_of(value).ok_or_else(|| at(format!("`{name}` is no value")))?;
                self.set(&name, value, Origin::File(path.to_owned()))?;
            }
        }
        Ok(())
    }

    /// `VECGO_SECTION__KEY`. Others that begin with `VECGO_` are not ours: a cluster makes some up.
    fn variable(&mut self, name: &str, value: String) -> Result<(), SettingsError> {
        let known = VARIABLES.iter().find(|(variable, _)| *variable == name);
        let key = match (known, name.strip_prefix("VECGO_").and_then(|rest| rest.split_once("__")))
        {
            (Some((_, key)), _) => (*key).to_owned(),
            (None, Some((section, key))) => format!("{section}.{key}").to_ascii_lowercase(),
            (None, None) => return Ok(()),
        };
        // A variable that is there and says nothing does not take back what a file says.
        if value.is_empty() && find(&key).is_some() {
            return Ok(());
        }
        self.set(&key, value, Origin::Variable(name.to_owned()))
    }

    fn set(&mut self, name: &str, value: String, origin: Origin) -> Result<(), SettingsError> {
        let Some(key) = find(name) else {
            return Err(SettingsError(format!(
                "{origin}: there is no key `{name}`; `vecgo config print` lists all"
            )));
        };
        // Empty is the default.
        let value = if value.is_empty() { key.default.to_owned() } else { value };
        if let Some(expected) = key.kind.objection(&value).filter(|_| !value.is_empty()) {
            let found = if key.secret { "a value" } else { value.as_str() };
            return Err(SettingsError(format!("{origin}: {name} is {found}; expected {expected}")));
        }
        self.values.insert(key.name, (value, origin));
        Ok(())
    }

    /// All keys as they are, secrets left out.
    pub fn shown(&self) -> impl Iterator<Item = Shown> {
        KEYS.iter().map(|key: &Key| {
            let (value, origin) = self.said(key.name);
            let value = match key.secret && !value.is_empty() {
                true => "(secret)".to_owned(),
                false => value.to_owned(),
            };
            Shown { key: key.name, value, origin, about: key.about }
        })
    }

    /// The database, if one is named.
    pub fn uri(&self) -> Option<String> {
        self.text("data.dir")
    }

    /// The same of another database.
    #[must_use]
    pub fn with_uri(mut self, uri: &str) -> Self {
        self.values.insert("data.dir", (uri.to_owned(), Origin::Flag));
        self
    }

    fn said(&self, name: &str) -> (&str, Origin) {
        let said = self.values.get(name);
        said.map_or(("", Origin::Default), |(value, origin)| (value, origin.clone()))
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        Some(self.said(name).0).filter(|value| !value.is_empty()).map(str::to_owned)
    }

    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let texts = self.said(name).0.split(',').map(str::trim);
        texts.filter(|text| !text.is_empty()).map(str::to_owned).collect()
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.said(name).0 == "true"
    }

    pub(super) fn number<N: TryFrom<u64>>(&self, name: &str) -> Result<N, SettingsError> {
        let number = self.said(name).0.parse::<u64>().unwrap_or_default();
        N::try_from(number)
            .map_err(|_| SettingsError(format!("{name} is {number}, which is too much")))
    }

    pub(super) fn bytes(&self, name: &str) -> Option<u64> {
        value::bytes(self.said(name).0)
    }

    pub(super) fn time(&self, name: &str) -> std::time::Duration {
        value::time(self.said(name).0).unwrap_or_default()
    }
}

/// A value of the file as the other layers would say it.
fn text_of(value: Value) -> Option<String> {
    Some(match value {
        Value::String(text) => text,
        Value::Integer(number) => number.to_string(),
        Value::Boolean(flag) => flag.to_string(),
        Value::Array(values) => {
            let texts: Option<Vec<String>> = values.into_iter().map(text_of).collect();
            texts?.join(",")
        }
        Value::Float(_) | Value::Datetime(_) | Value::Table(_) => return None,
    })
}
