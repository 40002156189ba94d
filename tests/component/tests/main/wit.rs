//! The WIT package: what others wrote is as they wrote it, and every item says what it is, since when.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit")
}

/// Returns the folder of a crate's sources, as cargo has verified them.
fn sources(of: &str) -> PathBuf {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let answer = Command::new(cargo).args(["metadata", "--offline", "--locked", "--format-version", "1"]).current_dir(folder()).output().unwrap();
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&answer.stdout).unwrap();
    let package = metadata["packages"].as_array().unwrap().iter().find(|package| package["name"] == of).unwrap();
    Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap().to_owned()
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            files.insert(path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap());
        }
    }
    files
}

#[test]
fn nobody_has_edited_what_others_wrote() {
    for (ours, of, theirs) in [("deps", "wasmtime-wasi-http", "wit/deps"), ("deps/keyvalue", "wasmtime-wasi-keyvalue", "wit/deps/keyvalue")] {
        let (ours, theirs) = (files(&folder().join(ours)), files(&sources(of).join(theirs)));

        assert!(!ours.is_empty());
        assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
        for (name, content) in &ours {
            assert!(*content == theirs[name], "`wit/deps` has an edited `{name}`: copy it from `{of}`");
        }
    }
}

#[test]
fn every_item_says_what_it_is_and_since_when() {
    let mut missing = Vec::new();
    for (name, text) in files(&folder()) {
        let text = String::from_utf8(text).unwrap();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for (at, line) in lines.iter().enumerate() {
            let is_item = ["interface ", "world ", "resource ", "record ", "variant ", "enum ", "type "].iter().any(|word| line.starts_with(word));
            let is_member = line.contains(": func(") || line.starts_with("constructor(");
            let is_field = !line.starts_with(['/', '}', '@']) && (line.ends_with(',') && !line.contains('{'));
            if !(is_item || is_member || is_field) {
                continue;
            }
            let above: Vec<&&str> = lines[..at].iter().rev().take_while(|line| line.starts_with("///") || line.starts_with('@')).collect();
            let is_since = above.iter().any(|line| line.starts_with("@since(version = 0.1.0)"));
            if !above.iter().any(|line| line.starts_with("///")) || (is_item && !is_since) {
                missing.push(format!("{name}:{}: {line}", at + 1));
            }
        }
    }
    assert!(missing.is_empty(), "without a word of what it is:\n{}", missing.join("\n"));
}
