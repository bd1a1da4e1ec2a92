use vecgo_format::field_name;

/// The keys of a path that is written with dots.
pub(crate) fn keys_of(field: &str) -> Vec<String> {
    let (mut path, mut letters) = (vec![String::new()], field.chars().peekable());
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

/// A path as segments name it.
pub(crate) fn name_of(path: &[String]) -> String {
    field_name(path.iter().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_cut_at_dots_that_are_not_escaped() {
        assert_eq!(keys_of("a.b"), ["a", "b"]);
        assert_eq!(keys_of(r"a\.b.c"), ["a.b", "c"]);
        assert_eq!(keys_of(r"a\\.b"), [r"a\", "b"]);
        assert_eq!(keys_of(r"a\b\"), [r"a\b\"]);
        assert_eq!(keys_of(""), [""]);
        assert_eq!(keys_of("."), ["", ""]);
    }
}
