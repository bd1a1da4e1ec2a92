//! The page, and bytes read in the order of its tables.

use std::collections::BTreeMap;

use vecgo_format::checksum;

pub(crate) const PAGE: &str = include_str!("../../../../docs/format.md");

/// The cells of the first table after a line of the page, the table's own head left out.
pub(crate) fn table(after: &str) -> Vec<Vec<&'static str>> {
    let start = PAGE.find(&format!("\n{after}")).unwrap_or_else(|| panic!("no {after}")) + 1;
    let lines = PAGE[start..].lines();
    let rows = lines.skip_while(|l| !l.starts_with('|')).take_while(|l| l.starts_with('|'));
    let cells = |line: &'static str| line.trim_matches('|').split('|').map(str::trim).collect();
    rows.skip(2).map(cells).collect()
}

/// The constants; those of a row that has several are named like `frame magic` or `most levels`.
pub(crate) fn constants() -> BTreeMap<String, &'static str> {
    let mut constants = BTreeMap::new();
    let mut add = |name, value| assert!(constants.insert(name, value).is_none(), "{value} twice");
    for row in table("### Constants\n") {
        match row[0].trim_matches('`') {
            "most" => pairs(row[1]).for_each(|(name, value)| add(format!("most {name}"), value)),
            many @ ("magic" | "bytes") => {
                pairs(row[1]).for_each(|(name, value)| add(format!("{name} {many}"), value));
            }
            name => add(name.to_owned(), row[1]),
        }
    }
    constants
}

/// `put 1, delete 2`.
fn pairs(cell: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    cell.split(", ").map(|pair| pair.rsplit_once(' ').unwrap())
}

pub(crate) fn number(name: &str) -> u64 {
    constants()[name].parse().unwrap()
}

pub(crate) fn size(name: &str) -> usize {
    usize(number(name))
}

/// `put 1, delete 2` as a map.
pub(crate) fn tags(name: &str) -> BTreeMap<&'static str, u8> {
    pairs(constants()[name]).map(|(name, tag)| (name, tag.parse().unwrap())).collect()
}

/// The bytes of an example.
pub(crate) fn example(name: &str) -> Vec<u8> {
    let start = PAGE.find(&format!("```hex {name}\n")).unwrap();
    let hex = PAGE[start..].split("```").nth(1).unwrap();
    let bytes = hex.lines().skip(1).flat_map(str::split_whitespace);
    bytes.map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

pub(crate) fn usize(value: impl TryInto<usize>) -> usize {
    value.try_into().unwrap_or_else(|_| panic!("no usize"))
}

pub(crate) struct Input<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) at: usize,
}

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(crate) fn raw(&mut self, length: usize) -> &'a [u8] {
        let bytes = &self.bytes[self.at..self.at + length];
        self.at += length;
        bytes
    }

    pub(crate) fn int(&mut self, bytes: usize) -> u128 {
        let bytes = self.raw(bytes).iter().rev();
        bytes.fold(0, |value, byte| (value << 8) | u128::from(*byte))
    }

    pub(crate) fn u64(&mut self) -> u64 {
        u64::try_from(self.int(8)).unwrap()
    }

    pub(crate) fn u32(&mut self) -> u32 {
        u32::try_from(self.int(4)).unwrap()
    }

    pub(crate) fn u8(&mut self) -> u8 {
        self.raw(1)[0]
    }

    pub(crate) fn length(&mut self) -> usize {
        let mut value = 0;
        for place in 0..5 {
            let byte = usize::from(self.u8());
            value += (byte % 128) << (7 * place);
            if byte < 128 {
                return value;
            }
        }
        panic!("a length of more than five bytes");
    }

    pub(crate) fn bytes(&mut self) -> &'a [u8] {
        let length = self.length();
        self.raw(length)
    }

    pub(crate) fn text(&mut self) -> &'a str {
        std::str::from_utf8(self.bytes()).unwrap()
    }

    pub(crate) fn end(&self) {
        assert_eq!(self.at, self.bytes.len(), "bytes left over");
    }
}

/// A structure being read in the order of its table.
pub(crate) struct Walk<'i, 'a> {
    input: &'i mut Input<'a>,
    start: usize,
    heading: String,
    rows: Vec<Vec<&'static str>>,
    next: usize,
}

impl<'i, 'a> Walk<'i, 'a> {
    pub(crate) fn new(heading: &str, input: &'i mut Input<'a>) -> Self {
        let rows = table(&format!("### {heading}\n"));
        Self { start: input.at, input, rows, heading: heading.to_owned(), next: 0 }
    }

    /// The next field must be this one, and here.
    pub(crate) fn field(&mut self, kind: &str, field: &str) -> &mut Input<'a> {
        let heading = &self.heading;
        let row = self.rows.get(self.next).unwrap_or_else(|| panic!("{heading}: no {field}"));
        assert_eq!((row[1], row[2]), (kind, field), "{heading}");
        if row[0] != "—" {
            let offset = self.input.at - self.start;
            assert_eq!(row[0], offset.to_string(), "{heading}: {field}");
        }
        self.next += 1;
        self.input
    }

    /// The next field, which is not there this time.
    pub(crate) fn absent(&mut self, field: &str) {
        assert_eq!(self.rows[self.next][2], field, "{}", self.heading);
        self.next += 1;
    }

    /// The next `fields`, so many times.
    pub(crate) fn each(&mut self, count: usize, fields: usize, mut read: impl FnMut(&mut Self)) {
        for _ in 0..count {
            read(self);
            self.next -= fields;
        }
        self.next += fields;
    }

    pub(crate) fn u8(&mut self, field: &str) -> u8 {
        self.field("u8", field).u8()
    }

    pub(crate) fn u16(&mut self, field: &str) -> u16 {
        u16::try_from(self.field("u16", field).int(2)).unwrap()
    }

    pub(crate) fn u32(&mut self, field: &str) -> u32 {
        self.field("u32", field).u32()
    }

    pub(crate) fn u64(&mut self, field: &str) -> u64 {
        self.field("u64", field).u64()
    }

    pub(crate) fn u128(&mut self, field: &str) -> u128 {
        self.field("u128", field).int(16)
    }

    pub(crate) fn length(&mut self, field: &str) -> usize {
        self.field("length", field).length()
    }

    pub(crate) fn bytes(&mut self, field: &str) -> &'a [u8] {
        self.field("bytes", field).bytes()
    }

    pub(crate) fn text(&mut self, field: &str) -> &'a str {
        self.field("text", field).text()
    }

    /// A tag, by its name in the page's constants.
    pub(crate) fn tag(&mut self, field: &str, constant: &str) -> &'static str {
        let tag = self.u8(field);
        let named = tags(constant).into_iter().find(|(_, there)| *there == tag);
        named.unwrap_or_else(|| panic!("{}: {constant} {tag}", self.heading)).0
    }

    /// A field that is there or not, as the byte before it says.
    pub(crate) fn flag(&mut self, field: &str) -> bool {
        match self.u8(field) {
            0 => false,
            1 => true,
            other => panic!("{}: {field} {other}", self.heading),
        }
    }

    pub(crate) fn magic(&mut self, name: &str) {
        assert_eq!(self.field("4 bytes", "magic").raw(4), constants()[name].as_bytes());
    }

    pub(crate) fn version(&mut self) {
        assert_eq!(u64::from(self.u16("version")), number("format version"));
        assert_eq!(u64::from(self.u16("draft")), number("format draft"));
    }

    pub(crate) fn covered(&self) -> &'a [u8] {
        &self.input.bytes[self.start..self.input.at]
    }

    /// A checksum of all of the structure so far.
    pub(crate) fn checksum(&mut self) -> u64 {
        let covered = self.covered();
        let stored = self.u64("checksum");
        assert_eq!(stored, checksum(covered), "{}", self.heading);
        stored
    }

    pub(crate) fn end(self) {
        assert_eq!(self.next, self.rows.len(), "{}: fields left over", self.heading);
    }
}

pub(crate) fn chain(a: u64, b: u64) -> u64 {
    checksum(&[a.to_le_bytes(), b.to_le_bytes()].concat())
}
