//! What tests across crates share. One module per kind of helper; the tests are in `tests/`.

pub mod peers;
