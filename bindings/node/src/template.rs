//! Key templates: read and checked here, filled in JavaScript.

use napi_derive::napi;
use serde_json::{Value, json};
use undercroft::engine::key::{Conversion, Field, Part, Root, Signature, Template};

use crate::errors::raise;

/// Reads a template, checks that calls of a function can fill it, and returns its pieces as JSON: texts, and objects with `at` or
/// `name`, `path`, `conversion` and `spec`.
#[napi]
pub fn template(source: String, function: String, names: Vec<String>, positions: u32, any_position: bool, any_name: bool) -> napi::Result<String> {
    let template = Template::parse(&source).map_err(raise)?;
    let signature = Signature { names, positions: positions as usize, any_position, any_name };
    template.check(&function, &signature).map_err(raise)?;
    Ok(Value::from_iter(template.parts().iter().map(part)).to_string())
}

fn part(part: &Part) -> Value {
    let (root, path, conversion, spec) = match part {
        Part::Literal(text) => return text.as_str().into(),
        Part::Placeholder { root, path, conversion, spec } => (root, path, conversion, spec),
    };
    let path: Vec<Value> = path
        .iter()
        .map(|field| match field {
            Field::Attribute(name) | Field::Item(name) => name.as_str().into(),
            Field::Index(at) => (*at).into(),
        })
        .collect();
    let conversion = conversion.map(|conversion| match conversion {
        Conversion::Str => "s",
        Conversion::Repr => "r",
        Conversion::Ascii => "a",
    });
    match root {
        Root::Position(at) => json!({ "at": at, "path": path, "conversion": conversion, "spec": spec }),
        Root::Name(name) => json!({ "name": name, "path": path, "conversion": conversion, "spec": spec }),
    }
}
