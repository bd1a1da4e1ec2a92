//! Names of fields: paths of keys with dots between them.

/// The name of the field that a path of keys leads to: with dots between them, and a backslash
/// before a dot or a backslash within one.
pub fn field_name<K: AsRef<str>>(path: impl IntoIterator<Item = K>) -> String {
    let mut name = String::new();
    for (place, key) in path.into_iter().enumerate() {
        push_key(&mut name, key.as_ref(), place == 0);
    }
    name
}

/// Adds a key to a name.
pub(crate) fn push_key(name: &mut String, key: &str, first: bool) {
    if !first {
        name.push('.');
    }
    for letter in key.chars() {
        if matches!(letter, '.' | '\\') {
            name.push('\\');
        }
        name.push(letter);
    }
}

/// The keys of a path that is written with dots. A backslash that is before no dot and no backslash
/// is itself.
pub fn field_path(name: &str) -> Vec<String> {
    let (mut path, mut letters) = (vec![String::new()], name.chars().peekable());
    while let Some(letter) = letters.next() {
        let escaped = letters.next_if(|next| letter == '\\' && matches!(next, '.' | '\\'));
        match (path.last_mut(), escaped) {
            (_, None) if letter == '.' => path.push(String::new()),
            (Some(key), escaped) => key.push(escaped.unwrap_or(letter)),
            (None, _) => {}
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_cut_at_dots_that_are_not_escaped() {
        assert_eq!(field_path("a.b"), ["a", "b"]);
        assert_eq!(field_path(r"a\.b.c"), ["a.b", "c"]);
        assert_eq!(field_path(r"a\\.b"), [r"a\", "b"]);
        assert_eq!(field_path(r"a\b\"), [r"a\b\"]);
        assert_eq!(field_path(""), [""]);
        assert_eq!(field_path("."), ["", ""]);
        assert_eq!(field_name(["a.b", r"c\", ""]), r"a\.b.c\\.");
    }
}
