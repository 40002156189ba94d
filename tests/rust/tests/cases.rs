//! Every case of `tests/cases`, from Rust.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::{Value as Json, json};
use undercroft::{
    Config, Options,
    engine::{
        Encoding, Life,
        envelope::Header,
        key,
        key::{Conversion, Field, Part, Root, Signature, Template},
        manual,
        time::FOREVER,
    },
    open,
};
use undercroft_tests::{Runner, cases_folder, expand, read};

fn run(file: &str) {
    let cases = read(file);
    assert!(!cases.is_empty());
    let mut failed = Vec::new();
    for case in &cases {
        let name = case["name"].as_str().unwrap();
        let mut at = 0usize;
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let mut runner = Runner::new(&case["cache"]);
            for step in case["steps"].as_array().unwrap() {
                at += 1;
                runner.step(step);
            }
        }));
        if outcome.is_err() {
            failed.push(format!("{name}, step {at}: {}", case["steps"][at.saturating_sub(1)]));
        }
    }
    assert!(failed.is_empty(), "{} of {} cases failed:\n{}", failed.len(), cases.len(), failed.join("\n"));
}

#[test]
fn freshness() {
    run("freshness.json");
}

#[test]
fn flight() {
    run("flight.json");
}

#[test]
fn chain() {
    run("chain.json");
}

#[test]
fn faults() {
    run("faults.json");
}

#[test]
fn keys() {
    let cases: Json = serde_json::from_str(&std::fs::read_to_string(cases_folder().join("keys.json")).unwrap()).unwrap();
    for case in cases["keys"].as_array().unwrap() {
        assert_eq!(json!(key::check(case["key"].as_str().unwrap()).is_ok()), case["valid"], "{}", case["name"]);
    }
    for case in cases["templates"].as_array().unwrap() {
        let signature = &case["signature"];
        let signature = Signature {
            names: signature["names"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect(),
            positions: signature["positions"].as_u64().unwrap() as usize,
            any_position: signature["any_position"].as_bool().unwrap(),
            any_name: signature["any_name"].as_bool().unwrap(),
        };
        let parsed = Template::parse(case["template"].as_str().unwrap()).and_then(|template| template.check("f", &signature).map(|()| template));
        match case["error"].as_str() {
            Some(why) => assert!(parsed.as_ref().is_err_and(|error| error.message().contains(why)), "{}: {parsed:?}", case["name"]),
            None => assert_eq!(Json::Array(parsed.unwrap().parts().iter().map(part).collect()), case["parts"], "{}", case["name"]),
        }
    }
}

fn part(part: &Part) -> Json {
    let Part::Placeholder { root, path, conversion, spec } = part else {
        let Part::Literal(text) = part else { unreachable!() };
        return json!(text);
    };
    let mut json = match root {
        Root::Position(at) => json!({ "position": at }),
        Root::Name(name) => json!({ "name": name }),
    };
    if !path.is_empty() {
        json["path"] = path
            .iter()
            .map(|field| match field {
                Field::Attribute(name) => format!(".{name}"),
                Field::Item(item) => format!("[{item}]"),
                Field::Index(at) => format!("[{at}]"),
            })
            .collect();
    }
    if let Some(conversion) = conversion {
        json["conversion"] = json!(match conversion {
            Conversion::Str => "s",
            Conversion::Repr => "r",
            Conversion::Ascii => "a",
        });
    }
    if !spec.is_empty() {
        json["spec"] = json!(spec);
    }
    json
}

#[test]
fn config() {
    for case in read("config.json") {
        let folder = tempfile::tempdir().unwrap();
        let variables = |name: &str| case["env"][name].as_str().map(str::to_owned);
        let opened = Config::from_value(expand(&case["config"], folder.path()), &variables)
            .and_then(|config| open(&config, &manual::env(&Default::default()), &Options::default()));
        match case["error"].as_str() {
            Some(why) => {
                let error = opened.map(|_| ()).expect_err(case["name"].as_str().unwrap());
                assert_eq!(error.code().as_str(), "config_invalid");
                assert!(error.message().contains(why), "{}: {}", case["name"], error.message());
            }
            None => {
                let cache = opened.unwrap_or_else(|error| panic!("{}: {error}", case["name"])).cache;
                if let Some(names) = case["names"].as_array() {
                    assert_eq!(cache.chain().counts().map(|(name, _)| json!(&**name)).collect::<Vec<_>>(), *names);
                }
            }
        }
    }
}

#[test]
fn an_environment_without_identities_says_that_credentials_are_missing() {
    for url in ["s3://bucket", "gs://bucket"] {
        let config = Config::from_value(json!({ "tiers": [url] }), &|_| None).unwrap();

        let error = open(&config, &manual::env(&Default::default()), &Options::default()).map(|_| ()).unwrap_err();

        assert!(error.message().contains("needs credentials"), "{error}");
    }
}

#[test]
fn envelope() {
    for case in read("envelope.json") {
        let bytes = |name: &str| -> Vec<u8> {
            let text = case[name].as_str().unwrap();
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
        };
        let opened = Header::open(&bytes("header"), &bytes("payload"));
        if let Some(why) = case["corrupt"].as_str() {
            assert!(opened.as_ref().is_err_and(|error| error.message().contains(why)), "{}: {opened:?}", case["name"]);
            continue;
        }
        let deadline = |name: &str| case[name].as_u64().unwrap_or(FOREVER);
        let life = Life { created_at: deadline("created_at"), fresh_until: deadline("fresh_until"), stale_until: deadline("stale_until") };
        let header = Header {
            codec: case["codec"].as_u64().unwrap() as u8,
            encoding: if case["compressed"].as_bool().unwrap() { Encoding::Gzip } else { Encoding::Identity },
            signed: case["signed"].as_bool().unwrap(),
            life,
        };
        assert_eq!(opened.unwrap(), header, "{}", case["name"]);
        assert_eq!(header.seal(&bytes("payload")).to_vec(), bytes("header"), "{}", case["name"]);
    }
}
