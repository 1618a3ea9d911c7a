//! Where the library is: SSLCV_LIB_DIR, else what pkg-config says.

use std::process::Command;

fn pkg_config(question: &str) -> Option<String> {
    let program = std::env::var("PKG_CONFIG").unwrap_or_else(|_| "pkg-config".into());
    let answer = Command::new(program).args([question, "sslcv"]).output().ok()?;
    answer.status.success().then(|| String::from_utf8_lossy(&answer.stdout).into_owned())
}

fn main() {
    for name in ["SSLCV_LIB_DIR", "PKG_CONFIG", "PKG_CONFIG_PATH"] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    println!("cargo:rustc-link-lib=sslcv");
    if let Ok(folder) = std::env::var("SSLCV_LIB_DIR") {
        println!("cargo:rustc-link-search=native={folder}");
        return;
    }
    // -L is all that is needed: the library knows what it depends on. Without an answer the linker looks where it
    // always does.
    let flags = pkg_config("--libs-only-L").unwrap_or_else(|| {
        println!("cargo:warning=pkg-config does not know sslcv; set PKG_CONFIG_PATH or SSLCV_LIB_DIR");
        String::new()
    });
    for folder in flags.split_whitespace().filter_map(|flag| flag.strip_prefix("-L")) {
        println!("cargo:rustc-link-search=native={folder}");
    }
}
