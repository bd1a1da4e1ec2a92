//! Codes, rotations and spaces against sums in `f64`.

mod code;
mod oracle;
mod product;
mod random;
mod rotation;
mod space;
