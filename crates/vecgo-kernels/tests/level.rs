//! How a level is chosen.

use vecgo_kernels::{Kernels, Level, SelectError};

#[test]
fn select() {
    let best = Ok(Level::best());
    assert_eq!(Level::select(None), best);
    assert_eq!(Level::select(Some("")), best);
    assert_eq!(Level::select(Some("none")), Ok(Level::Portable));
    for (name, level) in
        [("none", Level::Portable), ("avx2", Level::Avx2), ("avx512", Level::Avx512)]
    {
        let expected =
            if level.is_available() { Ok(level) } else { Err(SelectError::Unsupported { level }) };
        assert_eq!(Level::select(Some(name)), expected);
        assert_eq!((level.name(), level.to_string()), (name, name.to_owned()));
    }
    for value in ["AVX2", "avx-512", "sse2", "neon", " none", "avx2 "] {
        let expected = Err(SelectError::Unknown { value: value.to_owned() });
        assert_eq!(Level::select(Some(value)), expected);
    }
}

#[test]
fn errors_say_what_would_do() {
    let unknown = SelectError::Unknown { value: "sse2".to_owned() };
    assert_eq!(
        unknown.to_string(),
        "unknown SIMD level `sse2`: expected one of none, avx2, avx512"
    );
    let unsupported = SelectError::Unsupported { level: Level::Avx512 }.to_string();
    assert!(unsupported.starts_with("this CPU cannot run SIMD level `avx512`: it has none"));
}

#[test]
fn levels_are_ordered_and_the_best_is_the_last_available() {
    assert!(Level::ALL.is_sorted());
    assert!(Level::Portable.is_available());
    assert!(Level::best().is_available());
    assert!(Level::ALL.into_iter().all(|level| level <= Level::best() || !level.is_available()));
}

#[test]
fn kernels_exist_for_available_levels_only() {
    for level in Level::ALL {
        match Kernels::new(level) {
            Ok(kernels) => assert_eq!(kernels.level(), level),
            Err(error) => {
                assert!(!level.is_available());
                assert_eq!(error, SelectError::Unsupported { level });
            }
        }
    }
    assert_eq!(Kernels::best().level(), Level::best());
}
