//! How the program is linked; nothing is generated.

#[expect(clippy::disallowed_methods, reason = "cargo tells a build script about its target in the environment")]
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let of = |name: &str| std::env::var(name).unwrap_or_default();
    if of("CARGO_CFG_TARGET_OS") == "linux" && of("CARGO_CFG_TARGET_ENV") == "gnu" {
        // Relocations as a bitmap (DT_RELR, glibc 2.36 or newer): the loader reads every one of them at the start, so the
        // plain table is most of a mebibyte of memory that stays.
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
