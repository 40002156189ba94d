//! What holds for the whole workspace: the contract is up to date, and imports go one way.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use std::{path::Path, process::Command};

use undercroft::contract::contract;

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_contract_is_up_to_date() {
    let path = root().join("tests/contract.json");
    let text = serde_json::to_string_pretty(&contract()).unwrap() + "\n";
    if std::env::var_os("UPDATE_CONTRACT").is_some() {
        std::fs::write(&path, &text).unwrap();
    }

    assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "run `UPDATE_CONTRACT=1 cargo test -p undercroft-tests the_contract`");
}

/// Returns what a package depends on, each written as cargo's `format` says.
fn dependencies(package: &str, format: &str) -> Vec<String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let tree = Command::new(cargo)
        .args(["tree", "--offline", "--locked", "-e", "normal", "--prefix", "none", "--format", format, "-p", package])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    String::from_utf8(tree.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Returns the names of what a package depends on.
fn names(package: &str) -> Vec<String> {
    dependencies(package, "{p}").iter().filter_map(|line| line.split(' ').next().map(str::to_owned)).collect()
}

#[test]
fn imports_go_one_way() {
    for face in ["undercroft-python", "undercroft-node"] {
        let order = ["undercroft-engine", "undercroft-stores", "undercroft", "undercroft-native", face];
        for (at, package) in order.iter().enumerate() {
            let dependencies = names(package);
            for above in &order[at + 1..] {
                assert!(!dependencies.iter().any(|name| name == above), "`{package}` depends on `{above}`");
            }
        }
    }
    assert!(!names("undercroft-node").iter().any(|name| name == "undercroft-python" || name == "pyo3"));
}

#[test]
fn the_component_takes_the_core_directly() {
    let dependencies = names("undercroft-component");
    assert!(dependencies.iter().any(|name| name == "undercroft"));
    for foreign in ["undercroft-native", "undercroft-host", "reqwest", "rustls", "hyper", "zstd", "rusqlite", "wasmtime"] {
        assert!(!dependencies.iter().any(|name| name == foreign), "the component depends on `{foreign}`");
    }
    // And only it knows WASI's interfaces; its host knows it by these alone.
    for package in ["undercroft-engine", "undercroft-stores", "undercroft", "undercroft-native", "undercroft-python", "undercroft-node"] {
        for wasi in ["wit-bindgen", "wasmtime"] {
            assert!(!names(package).iter().any(|name| name == wasi), "`{package}` depends on `{wasi}`");
        }
    }
    assert!(!names("undercroft-host").iter().any(|name| name == "undercroft-engine"), "the host depends on the core");
}

#[test]
fn the_core_owns_no_runtime() {
    for package in ["undercroft-engine", "undercroft-stores", "undercroft"] {
        for runtime in ["reqwest", "hyper", "rustls", "pyo3", "napi"] {
            assert!(!names(package).iter().any(|name| name == runtime), "`{package}` depends on `{runtime}`");
        }
        // The AWS SDK takes locks from tokio; what runs tasks, tells the time or opens sockets is not among its features.
        for line in dependencies(package, "{p}|{f}").iter().filter(|line| line.starts_with("tokio ")) {
            let features = line.split('|').nth(1).unwrap_or_default();
            for feature in ["rt", "net", "time", "fs", "process", "signal"] {
                assert!(!features.split(',').any(|own| own == feature), "`{package}` has tokio's `{feature}`: {line}");
            }
        }
    }
}
