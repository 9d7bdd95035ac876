//! Names as a person wants to read them in a backtrace.

use std::path::Path;

/// A demangled function name without the crate hashes.
pub(super) fn function(mangled: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(mangled))
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
}
