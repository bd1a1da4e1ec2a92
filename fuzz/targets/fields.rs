//! The target `fields` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    vecgo_fuzz::fields(input);
});
