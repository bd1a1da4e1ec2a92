//! Filters: which records a search, a count, a scan or a deletion is about, by their metadata.
//!
//! ```
//! use vecgo::filter::{eq, exists, gte, is_in};
//!
//! let recent = eq("category", "tech") & gte("year", 2023);
//! let other = recent.clone() | (is_in("tags", ["rust", "go"]) & !exists("draft"));
//! assert_eq!(recent.to_string(), concat!(
//!     r#"{"and":[{"field":"category","op":"eq","value":"tech"},"#,
//!     r#"{"field":"year","op":"gte","value":2023}]}"#,
//! ));
//! assert_eq!(other.to_string().parse::<vecgo::Filter>()?, other);
//! # Ok::<(), vecgo::Error>(())
//! ```
//!
//! A field is a path of keys with dots between them; a dot within a key is written `\.`, and a
//! backslash before a dot or a backslash `\\`. `docs/filters.md` has the table of what each test
//! means. No comparison, `ne` and `not_in` included, matches a field that is missing or of another
//! type; [`not`] is everything else than what it is given.

use vecgo_engine::Op;
pub use vecgo_engine::{Filter, MAX_FILTER_BYTES, MAX_FILTER_DEPTH, MAX_FILTER_NODES, Operand};

macro_rules! tests {
    ($($(#[$doc:meta])* $name:ident $op:ident;)*) => {
        $($(#[$doc])*
        pub fn $name(field: impl Into<String>, value: impl Into<Operand>) -> Filter {
            Filter::test(field, Op::$op, value)
        })*
    };
}

tests! {
    /// The field is equal to the value. Lists and objects are compared whole.
    eq Eq;
    /// The field is of the value's type, and not equal to it.
    ne Ne;
    /// The field is greater than the value: a number, a string or a boolean.
    gt Gt;
    /// The field is greater than the value or equal to it.
    gte Gte;
    /// The field is less than the value.
    lt Lt;
    /// The field is less than the value or equal to it.
    lte Lte;
    /// The field is equal to one of a list of values.
    is_in In;
    /// The field is of the type of one of a list of values, and equal to none.
    not_in NotIn;
    /// The field is a string that has the value in it, or a list that holds the value.
    contains Contains;
    /// The field is a string that begins with the value.
    starts_with StartsWith;
    /// The field is a string that ends with the value.
    ends_with EndsWith;
    /// The field is a list that holds one of a list of values.
    any Any;
    /// The field is a list that holds all of a list of values.
    all All;
}

/// The field is there, if only as null.
pub fn exists(field: impl Into<String>) -> Filter {
    Filter::exists(field)
}

/// The field is there, and null.
pub fn is_null(field: impl Into<String>) -> Filter {
    Filter::is_null(field)
}

/// All filters match: true if there is none.
pub fn and(filters: impl IntoIterator<Item = Filter>) -> Filter {
    Filter::and(filters)
}

/// One of the filters matches: false if there is none.
pub fn or(filters: impl IntoIterator<Item = Filter>) -> Filter {
    Filter::or(filters)
}

/// The filter does not match.
pub fn not(filter: Filter) -> Filter {
    !filter
}
