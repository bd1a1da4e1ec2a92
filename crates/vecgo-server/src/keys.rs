//! Who a request comes from.

use std::path::Path;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use axum::http::{HeaderMap, header};

use crate::settings::{Auth, SettingsError};

/// What a key allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    Read,
    Write,
}

/// The keys that there are, as digests: so comparing takes as long whatever their lengths.
#[derive(Debug)]
pub(crate) struct Keys(Vec<([u8; 32], Scope)>);

/// Bytes of a key that is made here.
const KEY_BYTES: usize = 32;

fn digest_of(key: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, key).as_ref());
    bytes
}

impl Keys {
    /// Those of the settings; if there are none and a file for one is named, the one in there, which is
    /// made at the first start.
    pub(crate) fn new(auth: &Auth) -> Result<Self, SettingsError> {
        let scopes = [(&auth.write_keys, Scope::Write), (&auth.read_keys, Scope::Read)];
        let keys =
            scopes.iter().flat_map(|(keys, scope)| keys.iter().map(move |key| (key, *scope)));
        let mut keys: Vec<_> =
            keys.map(|(key, scope)| (digest_of(key.as_bytes()), scope)).collect();
        if let Some(path) = auth.first_start_key.as_ref().filter(|_| keys.is_empty()) {
            keys.push((digest_of(first_start_key(path)?.as_bytes()), Scope::Write));
        }
        Ok(Self(keys))
    }

    /// Whether everybody may do everything.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a request may do; `None` if it names no key that there is.
    pub(crate) fn scope(&self, headers: &HeaderMap) -> Option<Scope> {
        if self.is_empty() {
            return Some(Scope::Write);
        }
        let value = headers.get(header::AUTHORIZATION)?.as_bytes();
        let (scheme, key) = value.split_at_checked("Bearer ".len())?;
        let given = digest_of(key.trim_ascii());
        // All of them, however early one is found.
        let found = self.0.iter().filter(|(key, _)| verify_slices_are_equal(key, &given).is_ok());
        let scope = found.map(|(_, scope)| *scope).max();
        scope.filter(|_| scheme.eq_ignore_ascii_case(b"Bearer "))
    }
}

/// The key in a file, which is made if it is not there: for its owner's eyes only.
fn first_start_key(path: &Path) -> Result<String, SettingsError> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let failed = |error: std::io::Error| SettingsError(format!("{}: {error}", path.display()));
    let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match made {
        Ok(mut file) => {
            let mut bytes = [0; KEY_BYTES];
            getrandom::fill(&mut bytes).map_err(|error| failed(error.into()))?;
            let key: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            file.write_all(format!("{key}\n").as_bytes()).map_err(failed)?;
            file.sync_all().map_err(failed)?;
            tracing::warn!(file = %path.display(), "no key is set: one was made, which is in this file");
            Ok(key)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let key = std::fs::read_to_string(path).map_err(failed)?.trim().to_owned();
            if key.len() < KEY_BYTES {
                let message =
                    format!("{}: no key in it; delete it, and one is made", path.display());
                return Err(SettingsError(message));
            }
            tracing::info!(file = %path.display(), "no key is set: the one in this file counts");
            Ok(key)
        }
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITE: &str = "a-key-that-may-write";
    const READ: &str = "a-key-that-may-read";

    fn auth(first_start_key: Option<&Path>) -> Auth {
        let (write_keys, read_keys) = match first_start_key {
            None => {
                (vec!["an-older-key-to-write".to_owned(), WRITE.to_owned()], vec![READ.to_owned()])
            }
            Some(_) => (Vec::new(), Vec::new()),
        };
        let first_start_key = first_start_key.map(Path::to_owned);
        Auth { write_keys, read_keys, first_start_key, insecure: false }
    }

    fn scope(keys: &Keys, value: &str) -> Option<Scope> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        keys.scope(&headers)
    }

    #[test]
    fn keys_have_scopes() {
        let keys = Keys::new(&auth(None)).unwrap();
        assert_eq!(scope(&keys, &format!("Bearer {WRITE}")), Some(Scope::Write));
        assert_eq!(scope(&keys, "bearer an-older-key-to-write"), Some(Scope::Write));
        assert_eq!(scope(&keys, &format!("Bearer {READ}")), Some(Scope::Read));
        for none in [
            "",
            "Bearer ",
            "Bearer a-key",
            WRITE,
            &format!("Basic  {WRITE}"),
            &format!("Bearer {WRITE}x"),
        ] {
            assert_eq!(scope(&keys, none), None, "{none}");
        }
        assert_eq!(keys.scope(&HeaderMap::new()), None);
        assert!(!format!("{keys:?}").contains(WRITE));
    }

    #[test]
    fn the_first_start_makes_a_key_and_the_next_finds_it() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let keys = Keys::new(&auth(Some(&path))).unwrap();
        let key = std::fs::read_to_string(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(scope(&keys, &format!("Bearer {}", key.trim())), Some(Scope::Write));
        let again = Keys::new(&auth(Some(&path))).unwrap();
        assert_eq!(scope(&again, &format!("Bearer {}", key.trim())), Some(Scope::Write));
        std::fs::write(&path, "").unwrap();
        assert!(Keys::new(&auth(Some(&path))).is_err());
    }
}
