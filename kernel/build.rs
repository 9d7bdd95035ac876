//! Tells the linker how to lay the kernel out; hosts build only the library parts and need none of it.

fn main() {
    println!("cargo:rerun-if-changed=linker.ld");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return;
    }
    let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    for argument in [
        format!("-T{folder}/linker.ld"),
        "-pie".into(),
        "--no-dynamic-linker".into(),
        "--pack-dyn-relocs=relr".into(),
        "--apply-dynamic-relocs".into(),
        "--gc-sections".into(),
        "-znorelro".into(),
        "-zmax-page-size=4096".into(),
    ] {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
}
