//! The README's quick start in Rust is the host's example, and runs.

use std::{path::Path, process::Command};

use undercroft_component_tests::Build;

#[test]
fn the_quick_start_runs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let source = readme.split_once("```rust\n").unwrap().1.split_once("```").unwrap().0;
    let example = std::fs::read_to_string(root.join("bindings/host/examples/quick_start.rs")).unwrap();
    assert_eq!(example.split_once("\n\n").unwrap().1, source, "the README and `examples/quick_start.rs` say the same");
    // Built beside this test, by `cargo test -p undercroft-host`.
    let program = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("examples/quick_start");

    let ended = Command::new(program).current_dir(Build::Full.file().parent().unwrap()).status().unwrap();

    assert!(ended.success());
}
