//! Names as a person wants to read them in a backtrace.

use std::iter::Peekable;
use std::path::Path;
use std::str::Chars;

/// Generic arguments longer than this say less than they hide.
const MAX_ARGUMENTS_LEN: usize = 40;

/// A demangled function name without crate hashes and without long generic arguments.
pub(super) fn function(mangled: &str) -> String {
    let full = format!("{:#}", rustc_demangle::demangle(mangled));
    shortened(&mut full.chars().peekable())
}

/// The text up to the `>` that closes it, with every `Type<long arguments>` in it made `Type<_>`.
fn shortened(rest: &mut Peekable<Chars<'_>>) -> String {
    let mut text = String::new();
    while let Some(next) = rest.next() {
        match next {
            '>' if !text.ends_with('-') => break,
            '<' => {
                // Behind a name come arguments; elsewhere a qualified type, as in `<Type as Trait>::name`.
                let is_arguments = text.ends_with(|last: char| last.is_alphanumeric() || "_:".contains(last));
                let inner = shortened(rest);
                let is_long = is_arguments && inner.len() > MAX_ARGUMENTS_LEN;
                text.extend(["<", if is_long { "_" } else { &inner }, ">"]);
            }
            other => text.push(other),
        }
    }
    text
}

/// Whose source a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The tree that is being built.
    OwnSource,
    /// The standard library or a package from a registry.
    Elsewhere,
}

/// A source path, relative to the source tree or starting with the crate it belongs to.
pub(super) fn file(path: &str, root: &Path) -> (String, Origin) {
    let normal = normalised(path);
    if let Ok(inside) = Path::new(&normal).strip_prefix(root) {
        return (inside.display().to_string(), Origin::OwnSource);
    }
    if let Some((_, library)) = normal.split_once("/library/") {
        return (library.into(), Origin::Elsewhere);
    }
    // Registry folders hold one folder per index, then one per crate.
    let registry = normal.split_once("/registry/src/").and_then(|(_, rest)| rest.split_once('/'));
    if let Some((_, package)) = registry {
        return (package.into(), Origin::Elsewhere);
    }
    let origin = if normal.starts_with('/') { Origin::Elsewhere } else { Origin::OwnSource };
    (normal, origin)
}

/// Without `.` and with `..` followed.
fn normalised(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "." => {}
            ".." if parts.last().is_some_and(|last| !matches!(*last, "" | "..")) => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_start_where_they_mean_something() {
        let shown = |path| file(path, Path::new("/work/tree")).0;
        assert_eq!(shown("/work/tree/kernel/src/boot.rs"), "kernel/src/boot.rs");
        assert_eq!(shown("/work/tree/kernel/./src/../hal/lib.rs"), "kernel/hal/lib.rs");
        assert_eq!(shown("/rustc/0123abcd/library/core/src/fmt/mod.rs"), "core/src/fmt/mod.rs");
        assert_eq!(shown("/usr/src/rustc-1.96.0/library/alloc/src/vec/mod.rs"), "alloc/src/vec/mod.rs");
        assert_eq!(shown("/root/.cargo/registry/src/index-1/spin-0.9.8/src/lib.rs"), "spin-0.9.8/src/lib.rs");
        assert_eq!(shown("kernel/src/boot.rs"), "kernel/src/boot.rs");
        assert_eq!(shown("../elsewhere.rs"), "../elsewhere.rs");
    }

    #[test]
    fn the_tree_is_told_from_the_rest() {
        let origin = |path| file(path, Path::new("/work/tree")).1;
        assert_eq!(origin("/work/tree/kernel/src/boot.rs"), Origin::OwnSource);
        assert_eq!(origin("kernel/src/boot.rs"), Origin::OwnSource);
        assert_eq!(origin("/rustc/0123abcd/library/core/src/fmt/mod.rs"), Origin::Elsewhere);
        assert_eq!(origin("/root/.cargo/registry/src/index-1/spin-0.9.8/src/lib.rs"), Origin::Elsewhere);
    }

    #[test]
    fn names_lose_their_hashes() {
        assert_eq!(function("_ZN4core3fmt5write17h0123456789abcdefE"), "core::fmt::write");
        assert_eq!(function("start64"), "start64");
    }

    #[test]
    fn long_generic_arguments_are_left_out() {
        let short = |name: &str| shortened(&mut name.chars().peekable());
        assert_eq!(
            short("<a::Once<b::Type> as c::Trait>::get::<d>"),
            "<a::Once<b::Type> as c::Trait>::get::<d>"
        );
        let long = "core::result::Result<alpha::beta::Gamma, delta::epsilon::zeta::Eta>";
        assert_eq!(
            short(&format!("<a::Once<{long}>>::get::<{long}>::{{closure#0}}")),
            "<a::Once<core::result::Result<_>>>::get::<core::result::Result<_>>::{closure#0}"
        );
        assert_eq!(short("a::map::<fn(&b) -> c>::call"), "a::map::<fn(&b) -> c>::call");
        assert_eq!(short("a<b"), "a<b>");
    }
}
