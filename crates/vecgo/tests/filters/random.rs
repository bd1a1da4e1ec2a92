//! Random documents and filters, of few values so that they meet.

use vecgo::json;

type Value = serde_json::Value;

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn of(&mut self, choices: &[&'static str]) -> &'static str {
        choices[self.below(choices.len())]
    }
}

const KEYS: [&str; 7] = ["a", "b", "a.b", "", r"c\d", "ключ", "deep"];
const FIELDS: [&str; 14] = [
    "a",
    "b",
    r"a\.b",
    "",
    r"c\\d",
    "ключ",
    "deep",
    "deep.a",
    "deep.b",
    "deep.deep.a",
    "deep.",
    "b.a",
    r"deep.a\.b",
    "nowhere",
];

fn number(random: &mut Random) -> Value {
    match random.below(10) {
        0 => json!(9_007_199_254_740_992_i64 + random.below(4) as i64),
        1 => json!(9_007_199_254_740_992.0 + 2.0 * random.below(2) as f64),
        2 => json!(i64::MAX - random.below(2) as i64),
        3 => json!(9_223_372_036_854_775_807_f64),
        4 => json!(-0.0),
        5 => json!(random.below(4) as f64 / 2.0),
        6 => json!([f64::MIN, f64::MIN_POSITIVE, -1e300][random.below(3)]),
        7 => json!(i64::MIN),
        _ => json!(random.below(5) as i64 - 1),
    }
}

fn text(random: &mut Random) -> String {
    const PARTS: [&str; 8] = ["", "a", "ab", "b", "é", "日本", "\u{10ffff}", "\0"];
    match random.below(8) {
        // Longer than what a segment's fields hold of a text, and some of just that length.
        0 => "x".repeat(119) + random.of(&PARTS) + random.of(&PARTS) + random.of(&PARTS),
        1 => "é".repeat(59 + random.below(3)) + random.of(&PARTS),
        _ => (0..random.below(4)).map(|_| random.of(&PARTS)).collect(),
    }
}

pub(crate) fn value(random: &mut Random, depth: usize) -> Value {
    match random.below(if depth > 2 { 12 } else { 16 }) {
        0 => Value::Null,
        1 | 2 => Value::Bool(random.below(2) == 0),
        3..=6 => number(random),
        7..=11 => Value::String(text(random)),
        12 | 13 => (0..random.below(4)).map(|_| value(random, depth + 1)).collect(),
        _ => object(random, depth + 1),
    }
}

fn object(random: &mut Random, depth: usize) -> Value {
    let mut object = serde_json::Map::new();
    for _ in 0..random.below(4) {
        let key = random.of(&KEYS).to_owned();
        object.insert(key, value(random, depth));
    }
    Value::Object(object)
}

pub(crate) fn document(random: &mut Random) -> Value {
    match object(random, 0) {
        // Many a value in one field.
        Value::Object(mut fields) => {
            fields.insert("a".to_owned(), value(random, 0));
            Value::Object(fields)
        }
        other => other,
    }
}

fn test(random: &mut Random) -> Value {
    const OPS: [&str; 15] = [
        "eq",
        "ne",
        "gt",
        "gte",
        "lt",
        "lte",
        "in",
        "not_in",
        "contains",
        "starts_with",
        "ends_with",
        "exists",
        "is_null",
        "any",
        "all",
    ];
    let (field, op) = (random.of(&FIELDS), random.of(&OPS));
    let field = if random.below(3) == 0 { "a" } else { field };
    let operand = match op {
        "exists" | "is_null" => return json!({"field": field, "op": op}),
        "gt" | "gte" | "lt" | "lte" => match random.below(5) {
            0 => json!(random.below(2) == 0),
            1 | 2 => json!(text(random)),
            _ => number(random),
        },
        "starts_with" | "ends_with" => json!(text(random)),
        "in" | "not_in" | "any" | "all" => (0..random.below(4)).map(|_| value(random, 1)).collect(),
        _ => value(random, 1),
    };
    json!({"field": field, "op": op, "value": operand})
}

pub(crate) fn filter(random: &mut Random, depth: usize) -> Value {
    let parts = |random: &mut Random| -> Vec<Value> {
        (0..random.below(4)).map(|_| filter(random, depth + 1)).collect()
    };
    match random.below(if depth > 3 { 1 } else { 8 }) {
        5 => json!({"and": parts(random)}),
        6 => json!({"or": parts(random)}),
        7 => json!({"not": filter(random, depth + 1)}),
        _ => test(random),
    }
}
