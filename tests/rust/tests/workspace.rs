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

fn dependencies(package: &str) -> Vec<String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let tree =
        Command::new(cargo).args(["tree", "--offline", "--locked", "-e", "normal", "--prefix", "none", "-p", package]).current_dir(root()).output().unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    String::from_utf8(tree.stdout).unwrap().lines().filter_map(|line| line.split(' ').next().map(str::to_owned)).collect()
}

#[test]
fn imports_go_one_way() {
    let order = ["undercroft-engine", "undercroft-stores", "undercroft", "undercroft-native", "undercroft-python"];
    for (at, package) in order.iter().enumerate() {
        let dependencies = dependencies(package);
        for above in &order[at + 1..] {
            assert!(!dependencies.iter().any(|name| name == above), "`{package}` depends on `{above}`");
        }
    }
}

#[test]
fn the_core_owns_no_runtime() {
    for package in ["undercroft-engine", "undercroft-stores", "undercroft"] {
        for runtime in ["tokio", "reqwest", "pyo3"] {
            assert!(!dependencies(package).iter().any(|name| name == runtime), "`{package}` depends on `{runtime}`");
        }
    }
}
