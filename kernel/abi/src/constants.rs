//! The form in which tables of Linux constants are written: a value and its meaning a line.

/// Declares documented constants of one type.
macro_rules! constants {
    ($type:ty; $($name:ident = $value:expr, $text:literal;)*) => {
        $(#[doc = $text] pub const $name: $type = $value;)*
    };
}
pub(crate) use constants;
