#![expect(clippy::disallowed_methods, reason = "the files under test are the user's, not a disk's")]

use std::fs;
use std::path::PathBuf;

use half::f16;
use tempfile::TempDir;

use super::{VectorFile, VectorFileError, read_truth};

/// A directory for the files of one test.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        // Some file systems flush a file that is replaced in place: slow, over thousands of them.
        let _ = fs::remove_file(&path);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn read(&self, name: &str, bytes: &[u8]) -> Result<(u64, usize, Vec<f32>), VectorFileError> {
        read_by(VectorFile::open(&self.write(name, bytes))?, 2)
    }

    fn truth(&self, bytes: &[u8]) -> Result<Vec<Vec<i64>>, VectorFileError> {
        read_truth(&self.write("truth.npy", bytes), 100, 100)
    }

    /// Refused, as malformed, with a message that names the file and contains all of `parts`.
    fn refused<T: std::fmt::Debug>(&self, result: Result<T, VectorFileError>, parts: &[&str]) {
        let error = result.unwrap_err();
        let message = error.to_string();
        assert!(!matches!(error, VectorFileError::Io { .. }), "{message}");
        let dir = self.0.path().display().to_string();
        for part in parts.iter().chain([&dir.as_str(), &"expected", &"found"]) {
            assert!(message.contains(part), "no {part:?} in {message:?}");
        }
    }
}

/// Reads to the end in batches: rows, dimension, values.
fn read_by(mut file: VectorFile, batch: usize) -> Result<(u64, usize, Vec<f32>), VectorFileError> {
    let (mut all, mut out, mut rows) = (Vec::new(), vec![9.0; 3], 0);
    loop {
        let count = file.read_rows(batch, &mut out)?;
        assert!(count <= batch && out.len() == count * file.dim());
        if count == 0 {
            assert_eq!(rows, file.rows());
            return Ok((rows, file.dim(), all));
        }
        rows += count as u64;
        all.append(&mut out);
    }
}

/// A file of the given version around a dictionary and values.
fn npy_raw(version: u8, dict: &str, data: &[u8]) -> Vec<u8> {
    let mut file = b"\x93NUMPY".to_vec();
    file.extend([version, 0]);
    match version {
        1 => file.extend(u16::try_from(dict.len()).unwrap().to_le_bytes()),
        _ => file.extend(u32::try_from(dict.len()).unwrap().to_le_bytes()),
    }
    file.extend(dict.as_bytes());
    file.extend(data);
    file
}

fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let dict = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}    \n");
    npy_raw(1, &dict, data)
}

/// The bytes of `values`, each encoded by `encode`.
fn encoded<T: Copy, const N: usize>(values: &[T], encode: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(|value| encode(*value)).collect()
}

fn floats(values: &[f32]) -> Vec<u8> {
    encoded(values, f32::to_le_bytes)
}

fn fvecs(rows: &[&[f32]]) -> Vec<u8> {
    let row = |row: &&[f32]| {
        [i32::try_from(row.len()).unwrap().to_le_bytes().to_vec(), floats(row)].concat()
    };
    rows.iter().flat_map(row).collect()
}

#[test]
fn every_dtype_round_trips() {
    let files = Files::new();
    let values = [0.0, -1.5, 2.0, 100.0, -0.25, 7.0];
    let whole = [0.0, 1.0, 2.0, 100.0, 127.0, 7.0];
    let signed = [0.0, -1.0, 2.0, 100.0, -128.0, 127.0];
    let table: [(&str, Vec<u8>, [f32; 6]); 5] = [
        ("<f4", floats(&values), values),
        ("<f2", encoded(&values, |v| f16::from_f32(v).to_le_bytes()), values),
        ("<f8", encoded(&values, |v| f64::from(v).to_le_bytes()), values),
        ("|u1", encoded(&[0, 1, 2, 100, 127, 7], u8::to_le_bytes), whole),
        ("|i1", encoded(&[0, -1, 2, 100, -128, 127], i8::to_le_bytes), signed),
    ];
    for (descr, data, expected) in table {
        for (shape, rows, dim) in [("(3, 2)", 3, 2), ("(2,3)", 2, 3), ("(6,)", 1, 6)] {
            let read = files.read("a.npy", &npy(descr, shape, &data)).unwrap();
            assert_eq!(read, (rows, dim, expected.to_vec()), "{descr} {shape}");
        }
    }
    let read = files.read("a.fvecs", &fvecs(&[&values[..3], &values[3..]])).unwrap();
    assert_eq!(read, (2, 3, values.to_vec()));
    let read = files.read("A.BVECS", &[2, 0, 0, 0, 1, 255, 2, 0, 0, 0, 3, 4]).unwrap();
    assert_eq!(read, (2, 2, vec![1.0, 255.0, 3.0, 4.0]));
}

#[test]
fn every_header_numpy_may_write_is_read() {
    let files = Files::new();
    let data = floats(&[1.0, 2.0]);
    let dicts = [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }\n",
        "{\"shape\":(2,1),\"descr\":\"<f4\",\"fortran_order\":False}",
        " { 'fortran_order' : True , 'shape' : ( 1 , 2 , ) , 'descr' : '<f4' } ",
        "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 1)}",
        "{'descr': '<f4', 'fortran_order': True, 'shape': (2,)}",
    ];
    for (dict, version) in dicts.iter().flat_map(|dict| [1, 2, 3].map(|version| (dict, version))) {
        let (_, _, values) = files.read("a.npy", &npy_raw(version, dict, &data)).unwrap();
        assert_eq!(values, [1.0, 2.0], "{dict}");
    }
    let longest = format!("{}{}", dicts[0], " ".repeat(65_536 - dicts[0].len()));
    files.read("a.npy", &npy_raw(2, &longest, &data)).unwrap();
    for (descr, shape) in [("<f4", "(0, 7)"), ("<f8", "(0, 65536)")] {
        let (rows, _, values) = files.read("a.npy", &npy(descr, shape, b"")).unwrap();
        assert_eq!((rows, values), (0, vec![]));
    }
}

#[test]
fn batches_join_to_the_whole_and_allocate_only_for_rows_there_are() {
    let files = Files::new();
    let values: Vec<f32> = (0u8..21).map(f32::from).collect();
    let rows: Vec<&[f32]> = values.chunks(3).collect();
    let paths = [
        files.write("a.npy", &npy("<f4", "(7, 3)", &floats(&values))),
        files.write("a.fvecs", &fvecs(&rows)),
    ];
    for (path, batch) in paths.iter().flat_map(|p| (1..9).chain([usize::MAX]).map(move |b| (p, b)))
    {
        let read = read_by(VectorFile::open(path).unwrap(), batch).unwrap();
        assert_eq!(read, (7, 3, values.clone()), "batches of {batch}");
    }
    let (mut file, mut out) = (VectorFile::open(&paths[0]).unwrap(), vec![1.0]);
    assert_eq!((file.read_rows(0, &mut out).unwrap(), out.len()), (0, 0));
    assert_eq!(file.read_rows(5, &mut out).unwrap(), 5);
    let mut rest = Vec::new();
    assert_eq!(file.read_rows(usize::MAX, &mut rest).unwrap(), 2);
    assert_eq!((out.capacity(), rest.capacity()), (15, 6));
}

#[test]
fn values_that_are_not_finite_are_passed_on_but_none_is_made() {
    let files = Files::new();
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e-300];
    let data = encoded(&odd, f64::to_le_bytes);
    let (_, _, read) = files.read("a.npy", &npy("<f8", "(4,)", &data)).unwrap();
    assert!(read[0].is_nan());
    assert_eq!(read[1..], [f32::INFINITY, f32::NEG_INFINITY, 0.0]);
    let data = encoded(&[0.0, 1.0, 2.0, 3.0, f64::from(f32::MAX), -1e39], f64::to_le_bytes);
    let result = files.read("a.npy", &npy("<f8", "(3, 2)", &data));
    files.refused(result, &["32-bit", "-1e39", "row 2"]);
}

#[test]
fn a_wrong_npy_is_refused() {
    let files = Files::new();
    let two = floats(&[1.0, 2.0]);
    let with = |dict: &str| npy_raw(1, dict, &two);
    let good = npy("<f4", "(1, 2)", &two);
    let changed = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let table: Vec<(Vec<u8>, &[&str])> = vec![
        (changed(0, 0x92), &["magic", "x92NUMPY"]),
        (changed(6, 4), &["version 1.0, 2.0 or 3.0", "version 4.0"]),
        (changed(7, 1), &["version 1.1"]),
        (changed(9, 0xff), &["a header of", "the end of the file after"]),
        (npy_raw(2, &" ".repeat(65_537), &two), &["at most 65536 bytes", "65537"]),
        (npy(">f4", "(1, 2)", &two), &["dtype <f4, <f2, <f8, |u1 or |i1", ">f4"]),
        (npy("<i4", "(1, 2)", &two), &["dtype", "<i4"]),
        (npy("|O", "(1, 2)", &two), &["dtype", "|O"]),
        (npy("\x1b[2J", "(1, 2)", &two), &["a plain dtype", "\\x1b[2J"]),
        (npy("<f4", "()", &two[..4]), &["1 or 2 dimensions", "0 dimensions"]),
        (npy("<f4", "(1, 2, 1)", &two), &["1 or 2 dimensions", "3 dimensions"]),
        (npy("<f4", "(5, 0)", b""), &["1 to 65536 values", "rows of 0"]),
        (npy("<f4", "(0,)", b""), &["rows of 0"]),
        (npy("|u1", "(1, 65537)", &[0; 65_537]), &["rows of 65537"]),
        (npy("<f4", "(2, 2)", &two), &["90 bytes", "shape [2, 2] of <f4", "82 bytes"]),
        (npy("<f4", "(1, 1)", &two), &["78 bytes", "82 bytes"]),
        (npy("<f4", "(4611686018427387904, 2)", &two), &["2^64 bytes", "4611686018427387904"]),
        (npy("|u1", "(18446744073709551615,)", &two), &["2^64 bytes"]),
        (npy("<f4", "(18446744073709551616, 2)", &two), &["a size below 2^64"]),
        (npy("<f4", "(-1, 2)", &two), &["a size below 2^64", "-1, 2"]),
        (npy("<f4", "(2)", &two), &["a comma"]),
        (npy("<f4", "(1 2)", &two), &["a comma"]),
        (npy("<f4", "(,)", &two), &["a size"]),
        (npy("<f4", "[1, 2]", &two), &["\"(\"", "[1, 2]"]),
        (with("{'descr': [('x', '<f4')], 'fortran_order': False}"), &["plain dtype", "('x"]),
        (with("{'descr': '<f4', 'fortran_order': False}"), &["keys", "fewer"]),
        (with("{'descr': '<f4', 'descr': '<f4'}"), &["each key", "once"]),
        (with("{'more': '<f4'}"), &["keys", "more"]),
        (with("{'shape': (1, 2), 'fortran_order': 0}"), &["True or False", "0}"]),
        (with("{'descr': '<f4' 'shape': (1, 2)}"), &["\"}\"", "shape"]),
        (with("{'descr': '<\\x664'}"), &["plain dtype"]),
        (with("{'descr\": '<f4'}"), &["\":\"", "<f4"]),
        (with("{descr: '<f4'}"), &["a key", "descr: '<f4'"]),
        (with("{'descr': '<f4"), &["plain dtype"]),
        (with("{'descr': "), &["plain dtype", "its end"]),
        (
            with("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2)} x"),
            &["nothing but space"],
        ),
        (with(""), &["\"{\"", "its end"]),
        (
            npy_raw(1, "{'descr': '|u1', 'fortran_order': True, 'shape': (4, 2)}", &two),
            &["C order", "Fortran order"],
        ),
    ];
    for (bytes, parts) in table {
        files.refused(files.read("a.npy", &bytes), parts);
    }
}

#[test]
fn a_wrong_vecs_file_is_refused() {
    let files = Files::new();
    let table: [(&str, Vec<u8>, &[&str]); 9] = [
        ("a.fvecs", vec![], &["first row", "end of the file"]),
        ("a.bvecs", vec![1, 0, 0], &["first row", "end of the file"]),
        ("a.fvecs", vec![0; 8], &["1 to 65536", "rows of 0"]),
        ("a.fvecs", vec![0xff; 8], &["positive", "-1"]),
        ("a.bvecs", [&65_537i32.to_le_bytes()[..], &[0; 65_537]].concat(), &["rows of 65537"]),
        ("a.fvecs", fvecs(&[&[1.0, 2.0], &[3.0]]), &["12 bytes", "2 values", "20 bytes"]),
        ("a.fvecs", fvecs(&[&[1.0], &[2.0], &[3.0, 4.0, 5.0]]), &["1 values", "3 in row 2"]),
        ("a.bvecs", vec![1, 0, 0, 0, 9, 0, 0, 0, 0, 9], &["1 values", "0 in row 1"]),
        ("a.ivecs", vec![1, 0, 0, 0, 9, 0, 0, 0], &[".npy, .fvecs or .bvecs", "ivecs"]),
    ];
    for (name, bytes, parts) in table {
        files.refused(files.read(name, &bytes), parts);
    }
    files.refused(files.read("none", b""), &["extension", "none"]);
}

#[test]
fn what_is_not_a_file_is_refused_without_waiting() {
    let files = Files::new();
    let dir = files.0.path().join("dir.npy");
    fs::create_dir(&dir).unwrap();
    files.refused(VectorFile::open(&dir), &["a regular file", "a directory"]);
    files.refused(read_truth(&dir, 1, 1), &["a directory"]);
    #[cfg(unix)]
    {
        let pipe = files.0.path().join("pipe.fvecs");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        files.refused(VectorFile::open(&pipe), &["a regular file", "a pipe"]);
    }
    let absent = files.0.path().join("absent.npy");
    for error in [VectorFile::open(&absent).unwrap_err(), read_truth(&absent, 1, 1).unwrap_err()] {
        assert!(
            matches!(error, VectorFileError::Io { .. }) && error.to_string().contains("absent.npy"),
            "{error}"
        );
    }
}

#[test]
fn a_file_that_shrinks_while_it_is_read_is_refused() {
    let files = Files::new();
    let bytes = fvecs(&[&[1.0, 2.0], &[3.0, 4.0]]);
    let path = files.write("a.fvecs", &bytes);
    let mut file = VectorFile::open(&path).unwrap();
    fs::write(&path, &bytes[..20]).unwrap();
    files.refused(file.read_rows(2, &mut Vec::new()), &["all of row 1", "end of the file"]);
}

#[test]
fn truth_is_read_up_to_its_ends() {
    let files = Files::new();
    let data = encoded(&[5i64, 3, 0, 7, -1, -9, -1, 1, 2], i64::to_le_bytes);
    let bytes = npy("<i8", "(3, 3)", &data);
    assert_eq!(files.truth(&bytes).unwrap(), [vec![5, 3, 0], vec![7], vec![]]);
    let path = files.write("truth.npy", &bytes);
    assert_eq!(read_truth(&path, 2, 2).unwrap(), [vec![5, 3], vec![7]]);
    assert_eq!(read_truth(&path, 9, 1).unwrap(), [vec![5], vec![7], vec![]]);
    assert_eq!(read_truth(&path, usize::MAX, usize::MAX).unwrap().len(), 3);
    assert_eq!(read_truth(&path, 0, 9).unwrap().len(), 0);
    let wide = u32::MAX.to_le_bytes();
    assert_eq!(files.truth(&npy("<u4", "(1, 1)", &wide)).unwrap(), [[i64::from(u32::MAX)]]);
    let four = encoded(&[1i32, -1, 3, 4], i32::to_le_bytes);
    assert_eq!(files.truth(&npy("<i4", "(2, 2)", &four)).unwrap(), [vec![1], vec![3, 4]]);
    let eight = encoded(&[1u64, 2], u64::to_le_bytes);
    assert_eq!(files.truth(&npy("<u8", "(2, 1)", &eight)).unwrap(), [[1], [2]]);
    assert_eq!(files.truth(&npy("<u8", "(0, 5)", b"")).unwrap().len(), 0);

    let table: [(Vec<u8>, &[&str]); 7] = [
        (npy("<u8", "(2, 1)", &[[0; 8], [0xff; 8]].concat()), &["row numbers", "row 1"]),
        (npy("<i4", "(2, 1)", &[0, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff]), &["-2 in row 1"]),
        (npy("<f4", "(2, 1)", &eight[..8]), &["<i4, <i8, <u4 or <u8", "<f4"]),
        (npy("<i4", "(2,)", &eight[..8]), &["2 dimensions", "[2]"]),
        (npy("<i4", "(9223372036854775807, 0)", b""), &["one column", "0]"]),
        (npy("<i4", "(2, 2)", &eight[..8]), &["90 bytes", "82 bytes"]),
        (fvecs(&[&[1.0, 2.0, 3.0]]), &["magic"]),
    ];
    for (bytes, parts) in table {
        files.refused(files.truth(&bytes), parts);
    }
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let files = Files::new();
    let data = floats(&[1.0, 2.0, 3.0, 4.0]);
    let table = [
        ("a.npy", npy("<f4", "(2, 2)", &data)),
        ("a.npy", npy_raw(3, "{'shape': (4,), 'descr': '<f4', 'fortran_order': False}", &data)),
        ("a.fvecs", fvecs(&[&[1.0, 2.0, 3.0, 4.0]])),
        ("a.bvecs", vec![3, 0, 0, 0, 1, 2, 3]),
    ];
    for (name, whole) in table {
        files.read(name, &whole).unwrap();
        for len in 0..whole.len() {
            files.refused(files.read(name, &whole[..len]), &[]);
        }
    }
    let truth = npy("<i4", "(2, 2)", &[0; 16]);
    files.truth(&truth).unwrap();
    (0..truth.len()).for_each(|len| files.refused(files.truth(&truth[..len]), &[]));
}

#[test]
fn no_mutation_panics() {
    let files = Files::new();
    let data = floats(&[1.0, 2.0, 3.0, 4.0]);
    let table = [
        ("a.npy", npy("<f4", "(2, 2)", &data)),
        ("a.npy", npy("<f8", "(2, 1)", &data)),
        ("a.npy", npy_raw(2, "{'shape':(2,2),'descr':'<i4','fortran_order':False}", &data)),
        ("a.fvecs", fvecs(&[&[1.0, 2.0], &[3.0, 4.0]])),
    ];
    // Bytes that mean something in a header come up far more often than by chance.
    let telling = b"'\"{}(),: 0129<>|fui\\\n\x00\xff";
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    for round in 0..20_000 {
        let (name, mut bytes) = table[round % table.len()].clone();
        for _ in 0..=random(3) {
            let byte = match random(2) {
                0 => telling[random(telling.len())],
                _ => u8::try_from(random(256)).unwrap(),
            };
            let at = random(bytes.len());
            bytes[at] = byte;
        }
        let path = files.write(name, &bytes);
        let read = VectorFile::open(&path).and_then(|file| read_by(file, 2));
        for error in [read.err(), read_truth(&path, 100, 100).err()] {
            assert!(
                error.is_none_or(|error| !matches!(error, VectorFileError::Io { .. })),
                "round {round}: {bytes:?}"
            );
        }
    }
}
