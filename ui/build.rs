//! Chooses what to embed as the web UI: `HOTSPAN_UI_DIST`, else `web/dist`, else a page that says how to build it.
//! Never runs npm and never uses the network: `make` owns that. `HOTSPAN_UI_REQUIRED=1` makes the fallback an error.

use std::path::{Path, PathBuf};
use std::{env, fs};

const FALLBACK: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>hotspan</title>\
<p>This build of hotspan has no web UI: run <code>make build</code> in its source. The API is up under \
<a href=api/v1/status>api/v1/status</a>.";

fn main() {
    println!("cargo:rerun-if-env-changed=HOTSPAN_UI_DIST");
    println!("cargo:rerun-if-env-changed=HOTSPAN_UI_REQUIRED");
    println!("cargo:rerun-if-changed=web/dist");
    println!("cargo:rerun-if-changed=web/dist/index.html");
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let chosen = env::var_os("HOTSPAN_UI_DIST").map(PathBuf::from).unwrap_or_else(|| here.join("web/dist"));
    let folder = if chosen.join("index.html").is_file() { chosen } else { fallback(&chosen) };
    let mut files = Vec::new();
    list(&folder, &mut files);
    files.sort();
    // A table of path and bytes; the compiler reads the files, and knows when they change. Files of this package are told
    // by their place in it: two clones that share a target folder share this table, too.
    let mut table = String::from("&[\n");
    for file in files {
        let name = file.strip_prefix(&folder).expect("listed below it").to_string_lossy().replace('\\', "/");
        let path = match file.strip_prefix(&here) {
            Ok(within) => format!("concat!(env!(\"CARGO_MANIFEST_DIR\"), {:?})", format!("/{}", within.display())),
            Err(_) => format!("{:?}", file.display().to_string()),
        };
        table.push_str(&format!("    ({name:?}, include_bytes!({path})),\n"));
    }
    table.push_str("]\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("dist.rs");
    fs::write(out, table).expect("OUT_DIR is writable");
}

/// Every file below a folder, but for hidden ones.
fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("readable").flatten() {
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if path.is_dir() { list(&path, files) } else { files.push(path) }
    }
}

fn fallback(wanted: &Path) -> PathBuf {
    assert!(
        env::var_os("HOTSPAN_UI_REQUIRED").is_none(),
        "{} holds no index.html: build the web UI first",
        wanted.display()
    );
    println!("cargo:warning=the web UI is not built ({} is missing); run `make build`", wanted.display());
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("fallback");
    fs::create_dir_all(&out).expect("OUT_DIR is writable");
    fs::write(out.join("index.html"), FALLBACK).expect("OUT_DIR is writable");
    out
}
