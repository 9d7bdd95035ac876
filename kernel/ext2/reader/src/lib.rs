//! Nothing; see `tests/`.
